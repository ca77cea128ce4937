# One image for every service of compose.yaml: twin, its registrar and lag monitor, nats-server.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/build \
    && /opt/build/bin/python -m pip install --no-cache-dir --require-hashes -r requirements-build.lock \
    && python -m venv /opt/twin \
    && /opt/twin/bin/python -m pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY specs ./specs
COPY scenarios ./scenarios
COPY twin ./twin
RUN /opt/build/bin/hatchling build -t wheel -d /opt/dist \
    && /opt/twin/bin/python -m pip install --no-cache-dir --no-deps /opt/dist/*.whl

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="twin" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/twin /opt/twin
# Whoever the container runs as owns what it writes below /data.
RUN install -d -m 1777 /data
ENV PATH="/opt/twin/bin:$PATH" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /data
USER 10001:10001
# Asks TWIN_HEALTH_URL; what serves no page is run with its health check disabled.
HEALTHCHECK --interval=2s --timeout=5s --start-period=20s --retries=5 \
    CMD ["python", "-m", "twin.health"]
ENTRYPOINT ["twin"]
CMD ["--help"]
