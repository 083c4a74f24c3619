"""Whether the checks bite: each case breaks one thing in a copy of the sources and runs the check of ./test that is to find it; it must fail and name the thing."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deployment import ROOT, copy_sources

RULES, BOARDS = "tests/monitoring/test_rules.py", "tests/monitoring/test_dashboards.py"
FILES, MANIFESTS, NAMES, CODES = "tests/deploy/test_files.py", "tests/deploy/test_manifests.py", "tests/contract/test_names.py", "tests/contract/test_codes.py"
BY_COMPOSE = "test_postgres_by_compose_takes_its_configuration_and_nobody_in_plain_text"
SYNCED, APPENDED, COMMITTED = "test_nats_syncs_before_it_acknowledges", "test_redis_keeps_a_file_and_evicts_nothing", "test_postgres_commits_to_the_disk"
HEALTHY = "test_every_container_tells_whether_it_is_healthy"
GRAFANA = "test_grafana_is_told_nothing_that_it_does_not_know"
OPENAPI, PROXY = "tests/contract/test_openapi.py", "tests/integration/test_front_proxy.py"
COMPOSE, POLICIES = "docker-compose.prod.yaml", "k8s/base/network.yaml"
OVERVIEW, BUSINESS = "grafana/dashboards/adledger-overview.json", "grafana/dashboards/adledger-business.json"

pytestmark = pytest.mark.skipif(not ((ROOT / ".run" / "bin" / "kubectl").exists() or shutil.which("kubectl")), reason="kubectl >= 1.27 is not here: tools/setup test tells")


def policy(name):
    return rf"apiVersion: \S+\nkind: NetworkPolicy\nmetadata:\n  name: {name}\n.*?(---\n|\Z)"


# What is broken -> its file, a pattern whose first match goes, what comes in its place, the check, and words of it.
BREAKS = {
    # ---- Prometheus, Alertmanager
    "an alert asks for a metric of ours that is not told": ("prometheus/rules/alerts.yml", r"adledger_spool_events > 0", "adledger_spool_evnets > 0",
                                                            f"{BOARDS}::test_every_metric_that_is_asked_for_exists", "nobody tells adledger_spool_evnets"),
    "an alert that no longer fires": ("prometheus/rules/alerts.yml", r"ratio_rate3d > 1 \*", "ratio_rate3d > 100 *", f"{RULES}::test_each_alert[fires-days]",
                                   'exp: {alertname="CollectErrorsCreeping"}'),
    "an alert that goes on when all is well again": ("prometheus/rules/alerts.yml", r" and adledger:collect_slow:ratio_rate30m > 6 \* 0.01", "",
                                                     f"{RULES}::test_what_else_fires_and_does_not[minutes]", 'got: {alertname="CollectLatencySlow"}'),
    "an alert without a case": ("prometheus/rules/alerts.yml", r"alert: SpoolInUse", "alert: SpoolNew", f"{RULES}::test_every_alert_has_a_case_that_fires_and_one_that_does_not", "SpoolNew"),
    "an alert without its section in the runbook": ("docs/runbook.md", r"### SpoolInUse\n.*?(?=### )", "", f"{RULES}::test_every_alert_has_its_section_in_the_runbook", "SpoolInUse"),
    "a rule with an unknown field": ("prometheus/rules/alerts.yml", r"for: 1m", "fro: 1m", f"{RULES}::test_prometheus_takes_the_configuration_and_the_rules", "field fro not found"),
    "an unknown setting of Prometheus": ("prometheus/prometheus.yml", r"scrape_interval", "scrape_intervall", f"{RULES}::test_prometheus_takes_the_configuration_and_the_rules",
                                         "field scrape_intervall not found"),
    "a route to a receiver that is not there": ("prometheus/alertmanager.yml", r"receiver: page", "receiver: nobody",
                                                f"{RULES}::test_alertmanager_takes_its_configuration_and_routes_by_severity", 'undefined receiver "nobody"'),
    # ---- dashboards
    "a panel asks for a metric of others that is not told": (OVERVIEW, r"adledger_http_requests_total", "nginx_requests_total",
                                                             f"{BOARDS}::test_every_metric_that_is_asked_for_exists", "nobody tells nginx_requests_total"),
    "a variable asks for a metric that is not told": (OVERVIEW, r"label_values\(adledger_service_ready", "label_values(adledger_service_raedy",
                                                      f"{BOARDS}::test_every_metric_that_is_asked_for_exists", "nobody tells adledger_service_raedy"),
    "a query that is not PromQL": (OVERVIEW, r"rate\(", "rait(", f"{BOARDS}::test_prometheus_reads_every_query", 'unknown function with name "rait"'),
    "a datasource that is not there": (BUSINESS, r'"uid": "adledger-postgres"', '"uid": "nowhere"', f"{BOARDS}::test_datasources_of_panels_and_variables_are_provisioned", "nowhere"),
    "a dashboard that was edited by hand": (BUSINESS, r'"title": "', '"title": "My ', f"{BOARDS}::test_the_dashboards_are_what_the_descriptions_say",
                                             "grafana/dashboards is not what tools/dashboards writes"),
    "a panel that is green whatever it shows": (OVERVIEW, r'"color": "red"', '"color": "green"', f"{BOARDS}::test_what_shows_one_number_tells_good_from_bad[adledger-overview]",
                                                "Ready has one colour"),
    # ---- compose, Dockerfile
    "an unknown key of compose": (COMPOSE, r"pids_limit: 128", "pid_limit: 128", f"{FILES}::test_schema_and_linter_find_nothing", '"pid_limit"'),
    "a password by default": (COMPOSE, r"POSTGRES_PASSWORD_FILE: \S+", 'POSTGRES_PASSWORD: "${POSTGRES_PASSWORD:-adledger}"', f"{FILES}::test_no_password_is_written_down",
                              "postgres: POSTGRES_PASSWORD is not a file"),
    "a password in an address": ("config/prod/ingest.env", r"\Z", "OTHER_URL=postgresql://adledger:adledger@postgres/adledger\n", f"{FILES}::test_no_password_is_written_down",
                                 "ingest.env: OTHER_URL holds a password"),
    "a store that is not verified": (COMPOSE, r"PGSSLMODE: verify-full", "PGSSLMODE: require", f"{FILES}::test_nats_and_postgres_are_spoken_to_by_verified_tls",
                                     "gateway does not verify PostgreSQL"),
    "a port for everybody": (COMPOSE, r'"127.0.0.1:\$\{PROMETHEUS_PORT', '"${PROMETHEUS_PORT', f"{FILES}::test_what_is_published_is_on_the_loopback_alone",
                             "prometheus is published to everybody"),
    "a container with a capability": (COMPOSE, r"    user: redis\n", "    user: redis\n    cap_add: [SYS_ADMIN]\n", f"{FILES}::test_every_container_is_cut_down_to_what_it_needs",
                                   "redis may do more than it needs"),
    "a container without a user": (COMPOSE, r"    user: postgres\n", "", f"{FILES}::test_every_container_is_cut_down_to_what_it_needs", "postgres runs as whom its image likes"),
    "an image without a user": ("Dockerfile", r"USER 10001:10001\nEXPOSE 8081", "EXPOSE 8081", f"{FILES}::test_every_image_runs_as_a_user_without_rights", "the image of ingest"),
    "an image that runs as root": ("Dockerfile", r"(EXPOSE 8082)", r"USER root\n\1", f"{FILES}::test_every_image_runs_as_a_user_without_rights", "the image of analytics"),
    "an image without a health check": ("Dockerfile", r'HEALTHCHECK [^\n]*\["ingest"[^\n]*\n', "", f"{FILES}::{HEALTHY}", "the image of ingest does not tell"),
    "a health check that asks nothing": ("Dockerfile", r'"gateway", "--health-check"', '"true"', f"{FILES}::{HEALTHY}", "the image of gateway does not tell"),
    "a store without a health check": (COMPOSE, r"    healthcheck: [^\n]*psql[^\n]*\n", "", f"{FILES}::{HEALTHY}", "nobody asks whether postgres is healthy"),
    "a health check that is switched off": (COMPOSE, r"    scale: \$\{INGEST_SCALE:-2\}\n", r"\g<0>    healthcheck: {disable: true}\n", f"{FILES}::{HEALTHY}", "AssertionError: ingest"),
    "a network of the stores that leads outside": (COMPOSE, r"    internal: true\n", "", f"{FILES}::test_the_stores_are_on_a_network_that_leads_nowhere", "the network data leads outside"),
    "a store on another network": (COMPOSE, r'networks: \[data\]\n(?=    volumes:\n      - "postgres:)', "networks: [data, edge]\n", f"{FILES}::test_the_stores_are_on_a_network_that_leads_nowhere",
                                   "postgres is on ['data', 'edge']"),
    "logs without an end": (COMPOSE, r', max-file: "5"', "", f"{FILES}::test_every_container_is_cut_down_to_what_it_needs", "the logs of gateway fill the disk"),
    "secrets in the images' context": (".dockerignore", r"\Z", "!secrets\n", f"{FILES}::test_the_images_are_built_of_the_sources_alone", "['secrets']"),
    "all that is here in the images' context": (".dockerignore", r"\n\*\n", "\n", f"{FILES}::test_the_images_are_built_of_the_sources_alone", "begins with !CMakeLists.txt"),
    "an unknown instruction": ("Dockerfile", r"STOPSIGNAL", "STOPSINGAL", f"{FILES}::test_schema_and_linter_find_nothing", "STOPSINGAL"),
    # ---- Kubernetes
    "an unknown field": ("k8s/components/autoscaling/autoscalers.yaml", r"behavior:", "behaviour:", f"{MANIFESTS}::test_every_object_obeys_its_schema", '"behaviour"'),
    "an autoscaler of nothing": ("k8s/components/autoscaling/autoscalers.yaml", r"kind: StatefulSet, name: gateway", "kind: StatefulSet, name: gatewya",
                                 f"{MANIFESTS}::test_every_reference_leads_somewhere[prod]", "there is no StatefulSet gatewya to scale"),
    "no policy that forbids": (POLICIES, policy("nothing-by-default"), "", f"{MANIFESTS}::test_nothing_is_allowed_that_no_policy_names[prod]", "there is no policy nothing-by-default"),
    "no policy for names": (POLICIES, policy("names"), "", f"{MANIFESTS}::test_other_namespaces_reach_what_is_theirs[prod]", "analytics cannot ask for a name"),
    "no policy for clients": (POLICIES, policy("clients"), "", f"{MANIFESTS}::test_other_namespaces_reach_what_is_theirs[prod]", "gateway is reached by {('monitoring', 8080)}, not by"),
    "no policy for Prometheus": (POLICIES, policy("monitoring"), "", f"{MANIFESTS}::test_other_namespaces_reach_what_is_theirs[prod]", "analytics is reached by set(), not by"),
    "no policy for a store": ("k8s/components/stores/network.yaml", policy("redis"), "", f"{MANIFESTS}::test_the_network_lets_through_just_what_is_needed[dev]", "('gateway', 'redis', 6379)"),
    "k8s/all.yaml is of yesterday": ("config/prod/nats.conf", r"max_connections: 4096", "max_connections: 4097", f"{MANIFESTS}::test_what_is_written_is_what_it_is_made_from",
                                     "k8s/all.yaml is not what it is made from"),
    "the rules of Kubernetes are of yesterday": ("prometheus/rules/alerts.yml", r"for: 1m", "for: 9m", f"{MANIFESTS}::test_what_is_written_is_what_it_is_made_from",
                                                 "prometheus_rules.yaml is not what it is made from"),
    # ---- what other programs read
    "an unknown setting of nginx": ("config/nginx.conf", r"send_timeout", "sned_timeout", f"{PROXY}::test_nginx_takes_the_file", 'unknown directive "sned_timeout"'),
    "an unknown setting of Redis": ("config/redis.conf", r"appendfsync", "appendfsnyc", f"{FILES}::test_redis_takes_its_configuration", "appendfsnyc everysec"),
    "an unknown setting of Redis in production": ("config/prod/redis.conf", r"maxmemory", "maxmemroy", f"{FILES}::test_redis_takes_its_configuration", "maxmemroy 768mb"),
    "an unknown setting of NATS": ("config/nats.conf", r"max_payload", "max_paylaod", f"{FILES}::test_nats_takes_its_configuration", 'unknown field "max_paylaod"'),
    "an unknown setting of NATS in production": ("config/prod/nats.conf", r"sync_interval", "sync_intreval", f"{FILES}::test_nats_takes_its_configuration", 'unknown field "sync_intreval"'),
    "a certificate that NATS does not find": ("config/prod/nats.tls.conf", r"nats\.pem", "nast.pem", f"{FILES}::test_nats_takes_its_configuration", "nast.pem"),
    "an unknown setting of NATS by compose": ("config/prod/nats.tls.conf", r"timeout: 2", "timeuot: 2", f"{FILES}::test_nats_takes_its_configuration", '"timeuot"'),
    "an unknown setting of PostgreSQL by compose": ("config/prod/postgresql.conf", r"ssl = on", "sll = on", f"{FILES}::{BY_COMPOSE}", '"sll"'),
    "who may connect, misspelt": ("config/prod/pg_hba.conf", r"scram-sha-256", "scram-sah-256", f"{FILES}::{BY_COMPOSE}", 'invalid authentication method "scram-sah-256"'),
    "PostgreSQL in plain text": ("config/prod/pg_hba.conf", r"hostssl", "host", f"{FILES}::{BY_COMPOSE}", "'host'"),
    "an unknown key of Grafana": ("grafana/provisioning/dashboards/adledger.yaml", r"allowUiUpdates", "allowUIUpdates", f"{FILES}::{GRAFANA}[dashboards-providers]", "allowUIUpdates"),
    "an unknown key of a datasource": ("grafana/provisioning/datasources/adledger.yaml", r"sslRootCertFile", "sslRootCert", f"{FILES}::{GRAFANA}[datasources-datasources]",
                                       "{'sslRootCert'}"),
    "an unknown setting of PostgreSQL": ("config/postgresql.conf", r"max_wal_size", "max_wla_size", f"{FILES}::test_postgres_takes_its_configuration", '"max_wla_size"'),
    "a script with a fault": ("config/prod/postgres-init.sh", r"\Z", "cd $nowhere\n", f"{FILES}::test_the_shell_scripts_have_no_findings", "In config/prod/postgres-init.sh line"),
    # ---- what is on the disk
    "NATS that acknowledges first": ("config/nats.conf", r"sync_interval: always", 'sync_interval: "2m"', f"{FILES}::{SYNCED}", "by config/nats.conf NATS"),
    "NATS in production that acknowledges first": ("config/prod/nats.conf", r"sync_interval: always", 'sync_interval: "2m"', f"{FILES}::{SYNCED}", "by config/prod/nats.conf NATS"),
    "NATS in a cluster that acknowledges first": ("k8s/all.yaml", r"sync_interval: always", 'sync_interval: "2m"', f"{FILES}::{SYNCED}", "by k8s/all.yaml NATS"),
    "Redis without a file": ("config/redis.conf", r"appendonly yes", "appendonly no", f"{FILES}::{APPENDED}", "'appendonly': 'no'"),
    "Redis that leaves it to the kernel": ("config/redis.conf", r"appendfsync everysec", "appendfsync no", f"{FILES}::{APPENDED}", "'appendfsync': 'no'"),
    "Redis in production that evicts": ("config/prod/redis.conf", r"maxmemory 768mb\n", r"\g<0>maxmemory-policy allkeys-lru\n", f"{FILES}::{APPENDED}", "'maxmemory-policy': 'allkeys-lru'"),
    "PostgreSQL without fsync": ("config/postgresql.conf", r"fsync = on", "fsync = off", f"{FILES}::{COMMITTED}[fsync]", "by config/postgresql.conf PostgreSQL has fsync off"),
    "PostgreSQL by compose that does not wait": (COMPOSE, r"listen_addresses=\*\"", r'\g<0>, "-c", "synchronous_commit=off"', f"{FILES}::{COMMITTED}[synchronous_commit]",
                                                 "by compose PostgreSQL has synchronous_commit off"),
    "PostgreSQL in production without full pages": ("config/prod/postgresql.conf", r"ssl = on", r"\g<0>\nfull_page_writes = off", f"{FILES}::{COMMITTED}[full_page_writes]",
                                                    "by compose PostgreSQL has full_page_writes off"),
    # ---- pages, settings
    "a route that is not on the page": ("docs/api.md", r"/api/v1/audit", "/api/v1/", f"{NAMES}::test_every_route_is_on_the_page", "docs/api.md does not have /api/v1/audit"),
    "a route that is not in the document": ("proto/openapi.yaml", r"  /api/v1/audit:\n.*?(?=  /api/v1/dlq:)", "", f"{OPENAPI}::test_every_route_is_in_the_document_and_no_other",
                                            "not in the document: [('GET', '/api/v1/audit')]"),
    "a document that is not OpenAPI": ("proto/openapi.yaml", r"operationId: getAudit", "operationID: getAudit", f"{OPENAPI}::test_the_document_obeys_the_specification",
                                       "`operationID` is not expected here"),
    "a code that is not on the page": ("docs/api.md", r"(\n## Codes\n.*?) `id_reuse`", r"\1", f"{CODES}::test_every_code_is_documented_with_its_status", "id_reuse"),
    "a setting that is not on the page": ("docs/configuration.md", r"\| `SPOOL_DIR`[^\n]*\n", "", f"{NAMES}::test_the_configuration_page_is_what_the_services_say", "SPOOL_DIR"),
    "a setting that no service has": ("config/prod/gateway.env", r"\Z", "SPOOL_DRI=/\n", f"{NAMES}::test_the_production_environments_name_only_options", "SPOOL_DRI"),
    "a link that leads nowhere": ("README.md", r"\]\(docs/", "](dosc/", f"{NAMES}::test_every_link_in_the_docs_leads_somewhere", "dosc/"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The sources, with what is built and installed beside them."""
    folder = copy_sources(tmp_path_factory.mktemp("copy"))
    for name in (".run", "build/release", "tests/node_modules"):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture
def broken(copy):
    """broken(FILE, PATTERN, IN_ITS_PLACE) in the copy, whole again afterwards."""
    before = {}

    def spoil(name, pattern, new):
        before[name] = (copy / name).read_text()
        spoilt, count = re.subn(pattern, new, before[name], count=1, flags=re.S)
        assert count == 1, f"{name} has no {pattern}"
        (copy / name).write_text(spoilt)
        return copy

    yield spoil
    for name, text in before.items():
        (copy / name).write_text(text)


def run(folder, *argv):
    done = subprocess.run([str(part) for part in argv], cwd=folder, text=True, capture_output=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name, pattern, new, check, says", BREAKS.values(), ids=BREAKS.keys())
def test_it_is_found(broken, name, pattern, new, check, says):
    folder = broken(name, pattern, new)
    status, output = run(folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", check)
    print(output)
    assert status == 1 and says in output


def test_ci_fails_of_it(broken):
    status, output = run(broken("docs/configuration.md", r"\| `SPOOL_DIR`[^\n]*\n", ""), ".ci/run", "--only", "contract")
    assert status == 1 and "SPOOL_DIR" in output and re.search(r"\n\d+ passed, 1 failed\n\Z", output), output


def test_each_check_is_run_by_default():
    runner = (ROOT / "tests/runner.py").read_text()
    for check in {row[3].partition("::")[0] for row in BREAKS.values()}:
        assert f'"{check}"' in runner or f'["{Path(check).parent}"]' in runner, check
