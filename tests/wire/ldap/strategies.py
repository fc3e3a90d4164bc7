"""What filters are made of, for Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from gateway.wire.ldap.filters import And, Filter, Not, Or

attributes = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
hostile = st.one_of(texts, st.text("*()\\&|!=<>~: a\0\x13é", max_size=12))


def filters_of(leaves: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
            st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
            st.builds(Not, inner),
        ),
        max_leaves=6,
    )
