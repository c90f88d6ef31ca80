# OpenBark's server on a CPU. Built with a compiler, run without one, as a user without rights.
FROM python:3.11-slim-bookworm AS build
# Debian keeps one version of a package in a release, so that a pinned one is gone with the next update.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml setup.py README.md LICENSE constraints.txt ./
COPY src src
RUN python -m venv /opt/openbark \
    && /opt/openbark/bin/pip install --no-cache-dir -c constraints.txt ".[server,wyoming]"

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home --home-dir /data openbark
COPY --from=build /opt/openbark /opt/openbark
ENV PATH=/opt/openbark/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBARK_SERVER_HOST=0.0.0.0 \
    OPENBARK_SERVER_PORT=8000 \
    OPENBARK_SERVER_DATA_DIRECTORY=/data/server \
    HF_HOME=/data/huggingface \
    XDG_CACHE_HOME=/data/cache
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
# Listening beyond the container needs a key: OPENBARK_SERVER_API_KEY, or a file of hashed keys.
ENTRYPOINT ["openbark", "serve"]
