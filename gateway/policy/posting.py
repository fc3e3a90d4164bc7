"""Who may write to a group: one verdict for each group that a recipient's address is.

Owns the order: what ``[groups]`` says of a group, or else the directory (Exchange's attributes), or
else the setting for all. Never replies, and tells no stranger a member's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.core.group import Group
from gateway.policy.group_rules import WORDS, GroupRules, Poster, Rule, Rules, rule_for
from gateway.policy.verdicts import Action, Verdict

CHECK = "group_post"
_IN_WORDS = {
    "authenticated": "people who have logged in",
    "members": "its members",
    "owners": "its owners",
}


class JudgesPosting(Protocol):
    async def judge(self, groups: Sequence[Group], poster: Poster) -> list[Verdict]:
        """See ``GroupPosting.judge``; ``groups`` is not empty."""
        ...


class GroupPosting:
    """The rules of one gateway.

    Args:
        rules: of the settings.
        default: where neither they nor the directory say anything.
    """

    def __init__(
        self,
        meaning: GroupRules,
        *,
        rules: Rules,
        default: str = "anyone",
    ) -> None:
        self._meaning = meaning
        self._rules = rules
        self._default = Rule.of((default,))

    async def judge(self, groups: Sequence[Group], poster: Poster) -> list[Verdict]:
        """One verdict for each; behind one that refuses there is no other.

        Raises:
            GatewayError: nobody can say at the moment.
        """
        verdicts = []
        for group in groups:
            verdicts.append(await self.verdict(group, poster))
            if verdicts[-1].action is Action.REJECT:
                break
        return verdicts

    async def verdict(self, group: Group, poster: Poster) -> Verdict:
        """Whether this one may write to the group. Raises: as ``judge``."""
        rule, source = rule_for(self._rules, group), "settings"
        if not rule and group.posting.says_anything:
            return self._by_directory(group, poster)
        if not rule:
            rule, source = self._default, "recipients.group_post"
        allowed = await self._meaning.mean(rule, group, poster)
        return _verdict(group, poster, allowed, str(rule), source, _in_words(rule))

    def _by_directory(self, group: Group, poster: Poster) -> Verdict:
        posting = group.posting
        rules, words = [], []
        allowed = not poster.is_named(posting.refused)
        if len(posting.refused):
            rules.append(f"not {len(posting.refused)} people")
        if posting.authenticated:
            rules.append("authenticated")
            words.append(_IN_WORDS["authenticated"])
            allowed = allowed and poster.is_somebody
        if posting.allowed is not None:
            rules.append(f"{len(posting.allowed)} people")
            words = ["certain people"]
            allowed = allowed and poster.is_named(posting.allowed)
        text = " and ".join(words) or "most people"
        return _verdict(group, poster, allowed, ", ".join(rules), "directory", text)


def _in_words(rule: Rule) -> str:
    named = [_IN_WORDS[word] for word in WORDS if word in rule.words and word in _IN_WORDS]
    if rule.addresses:
        named.append("people its administrator has named" if not named else "others named for it")
    return " and ".join(named)


def _verdict(
    group: Group, poster: Poster, allowed: bool, rule: str, source: str, words: str
) -> Verdict:
    address = group.addresses[0]
    inputs = {"group": address, "rule": rule, "said by": source, "who": str(poster)}
    if allowed:
        return Verdict(Action.PASS, CHECK, f"{poster} may write to {address}", inputs)
    # Not the group's address: who asks may know another one only.
    hint = "" if poster.is_somebody else "; log in if you are one of them"
    text = f"this address takes mail from {words} only{hint}"
    return Verdict(
        Action.REJECT, CHECK, f"{poster} may not write to {address}: {rule}", inputs, text
    )
