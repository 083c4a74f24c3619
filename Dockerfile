# The images of adledger, one target a service:
#
#   docker build --target gateway|ingest|analytics .    an image of that service
#   docker build --target symbols --output symbols .    the debug symbols of all three, for gdb and core files
#
# tools/images builds all of them with the commit and its date. `ingest --migrate`, in ingest's image, brings the
# database's tables up to date. Every image runs as user 10001, needs no capability and no writable root.
ARG BASE=debian:bookworm-slim

# ---- build: compiles, and separates the symbols from what runs
FROM ${BASE} AS build
WORKDIR /src
COPY tools/setup tools/setup
# The packages are those that a build on a bare machine installs.
RUN tools/setup build && rm -rf /var/lib/apt/lists/*
COPY . .
ARG COMMIT=unknown
ARG SOURCE_DATE_EPOCH
RUN cmake --preset release -DADLEDGER_COMMIT="${COMMIT}" -DBUILD_TESTING=OFF && ninja -C build/release services
# What each binary needs to run is read off the binary: its shared libraries' packages.
RUN set -eu; mkdir -p /out/bin /out/symbols /out/needs; \
    for service in gateway ingest analytics; do \
        built=build/release/services/$service/$service; \
        id=$(readelf -n "$built" | sed -n 's/.*Build ID: //p'); \
        symbols=/out/symbols/.build-id/$(echo "$id" | cut -c1-2)/$(echo "$id" | cut -c3-).debug; \
        mkdir -p "$(dirname "$symbols")"; \
        objcopy --only-keep-debug --compress-debug-sections "$built" "$symbols"; \
        objcopy --strip-all --remove-section=.comment "$built" "/out/bin/$service"; \
        readelf -d "$built" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | \
            while read -r library; do dpkg-query -S "*/$library" | sed -n '1s/:.*//p'; done | \
            sort -u >"/out/needs/$service"; \
    done

# ---- symbols: gdb finds them under /usr/lib/debug by the build id of the binary
FROM scratch AS symbols
COPY --from=build /out/symbols/ /

# ---- what the three images share
FROM ${BASE} AS service
RUN groupadd --gid 10001 adledger \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin adledger \
    && install -d -o 10001 -g 10001 -m 0750 /var/lib/adledger /var/lib/adledger/spool
# Again, for a stage knows nothing of what stands before the first FROM.
ARG BASE
ARG COMMIT=unknown
ARG VERSION=0.1.0
ARG CREATED
LABEL org.opencontainers.image.vendor="adledger" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.created="${CREATED}"
STOPSIGNAL SIGTERM

FROM service AS gateway
COPY --from=build /out/needs/gateway /tmp/needs
RUN apt-get update && xargs apt-get install -y --no-install-recommends tzdata </tmp/needs && rm -rf /var/lib/apt/lists/* /var/cache/apt /tmp/needs
COPY --from=build /out/bin/gateway /usr/local/bin/gateway
LABEL org.opencontainers.image.title="adledger gateway" \
      org.opencontainers.image.description="Takes ad events over HTTP, keeps each before it says so, and answers what was counted"
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 CMD ["gateway", "--health-check"]
ENTRYPOINT ["gateway"]

FROM service AS ingest
COPY --from=build /out/needs/ingest /tmp/needs
RUN apt-get update && xargs apt-get install -y --no-install-recommends </tmp/needs && rm -rf /var/lib/apt/lists/* /var/cache/apt /tmp/needs
COPY --from=build /out/bin/ingest /usr/local/bin/ingest
LABEL org.opencontainers.image.title="adledger ingest" \
      org.opencontainers.image.description="Reads the stream and keeps every event in PostgreSQL, exactly once"
USER 10001:10001
EXPOSE 8081
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 CMD ["ingest", "--health-check"]
ENTRYPOINT ["ingest"]

FROM service AS analytics
COPY --from=build /out/needs/analytics /tmp/needs
RUN apt-get update && xargs apt-get install -y --no-install-recommends </tmp/needs && rm -rf /var/lib/apt/lists/* /var/cache/apt /tmp/needs
COPY --from=build /out/bin/analytics /usr/local/bin/analytics
LABEL org.opencontainers.image.title="adledger analytics" \
      org.opencontainers.image.description="Reads the stream and keeps Redis's counters, each event counted once"
USER 10001:10001
EXPOSE 8082
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 CMD ["analytics", "--health-check"]
ENTRYPOINT ["analytics"]
