# The gateway in a container. Everything can be configured by environment variables; see README.md.
#
# BASE is any image with Python 3.11 or newer and its venv module: python:3.12-slim, or Debian 12
# with python3 and python3-venv. Building needs pip's index and nothing else from the network.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
# python3, not python: Debian has no other name. A virtual environment, as Debian's own Python
# refuses packages (PEP 668); it is copied below, so both stages need the same BASE.
RUN python3 -m venv /opt/gateway
COPY . /src
RUN /opt/gateway/bin/pip install --no-cache-dir /src \
 && /opt/gateway/bin/pip uninstall --yes setuptools pip

FROM ${BASE}
# A fixed number, so that volumes keep their owner whatever the base image knows.
RUN echo 'gateway:x:10025:' >> /etc/group \
 && echo 'gateway:x:10025:10025:mail gateway:/var/lib/gateway:/usr/sbin/nologin' >> /etc/passwd \
 && mkdir -p /var/lib/gateway /etc/gateway \
 && chown 10025:10025 /var/lib/gateway \
 && chmod 0700 /var/lib/gateway
COPY --from=build /opt/gateway /opt/gateway
# Twisted keeps a cache of its plugins beside them: written once, here, by root. The running gateway
# writes to /var/lib/gateway and /tmp only, so the root may be read-only.
RUN /opt/gateway/bin/twistd --help | grep -q '^ *gateway ' \
 && test -s /opt/gateway/lib/python3*/site-packages/twisted/plugins/dropin.cache
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10025:10025
WORKDIR /var/lib/gateway
VOLUME /var/lib/gateway
# SMTP; submission; POP3; IMAP; health. Docker lets everybody bind them inside a container
# (net.ipv4.ip_unprivileged_port_start=0); other platforms need that sysctl or CAP_NET_BIND_SERVICE.
EXPOSE 25 587 465 2525 110 995 143 993 80 443
# Speaks SMTP and IMAP to the listeners. Where another configuration file is given to the
# entry point, give it here as well.
HEALTHCHECK --interval=30s --timeout=15s --start-period=20s --retries=3 \
    CMD ["gateway", "health"]
# twistd drains: it answers what is in flight, says goodbye, closes the store, and exits with 0.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/gateway/bin/twistd", "--pidfile=", "--umask=0077", "-n", "gateway"]
