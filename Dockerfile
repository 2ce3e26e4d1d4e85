# One image per service:  docker build --build-arg SERVICE=registry -t capstan/registry:dev .
# Any builder will do: no syntax line, no cache mounts. Layers that all six share come first, our sources last.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

# uv, from its locked wheel; it stays in the build stages.
FROM ${PYTHON_IMAGE} AS tools
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=true
COPY locks/tools.txt /locks/
RUN python -m venv /uv && /uv/bin/pip install --quiet --no-cache-dir --require-hashes -r /locks/tools.txt

# What every service stands on, and the OpenMP runtime that LightGBM's library needs (it comes in another locked wheel).
FROM tools AS base
COPY locks/image-base.txt locks/image-openmp.txt /locks/
RUN /uv/bin/uv venv --quiet --python /usr/local/bin/python3 /opt/capstan \
 && /uv/bin/uv pip sync --quiet --python /opt/capstan/bin/python --require-hashes /locks/image-base.txt \
 && printf '%s\n' /opt/service 'import site; site.addsitedir("/app/site")' >/opt/capstan/lib/python3.12/site-packages/capstan.pth
RUN /uv/bin/uv pip install --quiet --python /opt/capstan/bin/python --target /openmp --no-deps --require-hashes -r /locks/image-openmp.txt \
 && cp /openmp/scikit_learn.libs/libgomp-*.so* /libgomp.so.1

# What this service adds to it, and the environment of its heavy jobs where it has one.
FROM base AS service
ARG SERVICE
COPY locks/image-${SERVICE}.txt locks/${SERVICE}.tx[t] /locks/
RUN mkdir -p /opt/service /opt/jobs \
 && /uv/bin/uv pip install --quiet --python /opt/capstan/bin/python --target /opt/service --no-deps --require-hashes -r /locks/image-${SERVICE}.txt
RUN if [ -f /locks/${SERVICE}.txt ]; then \
      /uv/bin/uv venv --quiet --python /usr/local/bin/python3 /opt/jobs \
      && /uv/bin/uv pip sync --quiet --python /opt/jobs/bin/python --require-hashes /locks/${SERVICE}.txt \
      && printf '%s\n' 'import site; site.addsitedir("/app/site")' >/opt/jobs/lib/python3.12/site-packages/capstan.pth; \
    fi
# Our own distributions by name and version, pointing at the sources that the final stage copies.
COPY libs/contracts/pyproject.toml /app/libs/contracts/
COPY libs/formats/pyproject.toml /app/libs/formats/
COPY libs/evaluation/pyproject.toml /app/libs/evaluation/
COPY libs/packages/pyproject.toml /app/libs/packages/
COPY libs/engines/pyproject.toml /app/libs/engines/
COPY libs/servicekit/pyproject.toml /app/libs/servicekit/
COPY services/${SERVICE}/pyproject.toml /app/services/${SERVICE}/
RUN for folder in /app/libs/* /app/services/*; do \
      package=$folder/src/capstan_$(basename $folder | tr - _) && mkdir -p $package && touch $package/__init__.py \
      && /uv/bin/uv pip install --quiet --python /opt/capstan/bin/python --target /app/site --no-deps -e $folder || exit 1; \
    done

FROM ${PYTHON_IMAGE}
RUN rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip /usr/local/bin/pip* /usr/local/bin/idle* /usr/local/include \
 && groupadd --gid 10001 capstan && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/capstan --shell /usr/sbin/nologin capstan \
 && install -d -o 10001 -g 10001 /var/lib/capstan
COPY --from=base /libgomp.so.1 /usr/lib/libgomp.so.1
COPY --from=base /opt/capstan /opt/capstan
ARG SERVICE
COPY --from=service /opt/service /opt/service
COPY --from=service /opt/jobs /opt/jobs
COPY --from=service /app/site /app/site
ENV CAPSTAN_HOME=/var/lib/capstan CAPSTAN_HOST=0.0.0.0 HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SERVICE=${SERVICE} \
    CAPSTAN_JOB_PYTHONS="{\"platform\":\"/opt/capstan/bin/python\",\"${SERVICE}\":\"/opt/jobs/bin/python\"}"
# Owned by the user that runs them, so that a development tool can put changed files there; elsewhere the root is read-only.
COPY --chown=10001:10001 libs/contracts/src /app/libs/contracts/src
COPY --chown=10001:10001 libs/formats/src /app/libs/formats/src
COPY --chown=10001:10001 libs/evaluation/src /app/libs/evaluation/src
COPY --chown=10001:10001 libs/packages/src /app/libs/packages/src
COPY --chown=10001:10001 libs/engines/src /app/libs/engines/src
COPY --chown=10001:10001 libs/servicekit/src /app/libs/servicekit/src
COPY --chown=10001:10001 services/${SERVICE}/src /app/services/${SERVICE}/src
RUN /opt/capstan/bin/python -m compileall -q /app
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="capstan ${SERVICE}" \
      org.opencontainers.image.description="The ${SERVICE} service of the Capstan ML platform" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
USER 10001:10001
# A shell only to name the module (registry: capstan_registry); it is replaced by the service.
ENTRYPOINT ["/bin/sh", "-c", "exec /opt/capstan/bin/python -P -m capstan_$(echo $SERVICE | tr - _) \"$@\"", "capstan"]
CMD ["serve"]
