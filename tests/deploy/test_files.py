"""What can be said of the deployment's files without an engine."""

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from deployment import WITHOUT_HEALTH

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import node_packages  # noqa: E402

COMPOSE = "docker-compose.prod.yaml"
SERVICES = ["gateway", "ingest", "analytics"]
PG_BIN = Path("/usr/lib/postgresql/15/bin")


def run(*argv, env=None, text=None):
    return subprocess.run([str(part) for part in argv], cwd=ROOT, input=text, text=True, capture_output=True, check=False,
                          env={**os.environ, **(env or {})})


def copy_to(folder):
    """What a clean clone has of what compose reads."""
    shutil.copy(ROOT / COMPOSE, folder)
    shutil.copytree(ROOT / "config", folder / "config")
    return folder


def test_compose_reads_the_file(tmp_path):
    done = run("docker-compose", "--project-directory", copy_to(tmp_path), "-f", tmp_path / COMPOSE, "--profile", "monitoring",
               "config", "-q", env={"SECRETS_GID": "1", "SECRETS_CA": "/run/secrets/ca.pem"})
    assert done.returncode == 0, done.stderr


def test_compose_builds_with_what_the_images_tool_passes():
    passed = set(re.findall(r"--build-arg (\w+)=", (ROOT / "tools/images").read_text()))
    taken = {name for name in re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.M) if name != "BASE"}
    version = re.search(r"^project\(adledger VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text(), re.M)[1]
    for service, about in yaml.safe_load((ROOT / COMPOSE).read_text())["services"].items():
        if "build" in about:
            args = about["build"]["args"]
            assert set(args) == passed == taken, service
            assert all(re.fullmatch(rf"\$\{{{name}:-.*\}}", text) for name, text in args.items()), service
            assert args["VERSION"] == f"${{VERSION:-{version}}}", service


@pytest.mark.parametrize("gid", ["", "1"], ids=["none", "of a version without certificates"])
def test_without_secrets_compose_says_how_to_make_them(tmp_path, gid):
    done = run("docker-compose", "--project-directory", copy_to(tmp_path), "-f", tmp_path / COMPOSE, "config", "-q", env={"SECRETS_GID": gid, "SECRETS_CA": ""})
    assert done.returncode != 0 and "./run --secrets" in done.stderr


def test_schema_and_linter_find_nothing():
    node_packages.install()
    done = run("node", "tests/deploy/lint.mjs", COMPOSE, "Dockerfile")
    assert done.returncode == 0, done.stdout + done.stderr


# ---- what the files let a container do; ./test --deploy asks a running engine the same


def compose_services():
    return yaml.safe_load((ROOT / COMPOSE).read_text())["services"].items()


# Where the compose file does not say who runs, the image does; NATS's own has no user, and its volume is root's (docs/operations.md, What a container may).
BY_THEIR_IMAGES = {"gateway", "ingest", "analytics", "migrate", "prometheus", "alertmanager", "grafana", "postgres-exporter", "redis-exporter"}
AS_ROOT = {"nats"}


def test_every_container_is_cut_down_to_what_it_needs():
    for name, about in compose_services():
        assert about["read_only"] is True and about["cap_drop"] == ["ALL"] and about["security_opt"] == ["no-new-privileges:true"], name
        assert not {"cap_add", "privileged", "devices", "network_mode", "pid", "ipc", "userns_mode"} & set(about), f"{name} may do more than it needs"
        assert {"mem_limit", "cpus", "pids_limit"} <= set(about), name
        assert {"max-size", "max-file"} <= set(about["logging"]["options"]), f"the logs of {name} fill the disk"
        assert str(about.get("user", "")).partition(":")[0] not in ("root", "0"), f"{name} runs as root"
        assert ("user" in about) != (name in BY_THEIR_IMAGES | AS_ROOT), f"{name} runs as whom its image likes"


def test_what_is_published_is_on_the_loopback_alone():
    published = {name: about["ports"] for name, about in compose_services() if "ports" in about}
    assert set(published) == {"gateway", "prometheus", "grafana"}
    for name, ports in published.items():
        for port in ports:
            assert re.match(r"(\$\{GATEWAY_PORTS:-)?127\.0\.0\.1:", str(port)), f"{name} is published to everybody: {port}"


def test_the_stores_are_on_a_network_that_leads_nowhere():
    assert yaml.safe_load((ROOT / COMPOSE).read_text())["networks"]["data"].get("internal") is True, "the network data leads outside"
    for name, about in compose_services():
        assert name not in ("nats", "postgres", "redis") or about["networks"] == ["data"], f"{name} is on {about['networks']}"


def test_nats_and_postgres_are_spoken_to_by_verified_tls():
    services = dict(compose_services())
    for name in (*SERVICES, "migrate"):
        assert services[name]["environment"]["PGSSLMODE"] == "verify-full", f"{name} does not verify PostgreSQL"
        assert "SECRETS_CA" in services[name]["environment"]["PGSSLROOTCERT"] and "SECRETS_CA" in services[name]["environment"]["NATS_CA_FILE"], name
    assert "sslmode=verify-full&sslrootcert=/run/secrets/ca.pem" in services["postgres-exporter"]["environment"]["DATA_SOURCE_URI"], "postgres-exporter"
    sources = yaml.safe_load((ROOT / "grafana/provisioning/datasources/adledger.yaml").read_text())["datasources"]
    (postgres,) = [source["jsonData"] for source in sources if "postgres" in source["type"]]
    assert (postgres["sslmode"], postgres["sslRootCertFile"]) == ("verify-full", "/run/secrets/ca.pem")
    for name in (*SERVICES, "migrate", "postgres-exporter", "grafana"):
        assert "ca.pem" in services[name]["secrets"], f"{name} has nobody to trust"


def test_no_password_is_written_down():
    """One comes from a file that is mounted, or compose says that there is none."""
    given = [(name, key, str(value)) for name, about in compose_services() for key, value in about.get("environment", {}).items()]
    for path in (ROOT / "config/prod").glob("*.env"):
        given += [(path.name, *line.split("=", 1)) for line in path.read_text().splitlines() if re.match(r"\w+=", line)]
    for where, key, value in given:
        assert key.endswith("_FILE") or not re.search("PASS|SECRET|TOKEN|AUTH_KEYS", key), f"{where}: {key} is not a file"
        assert not re.search(r"://[^/\s]*:[^/\s]*@", value), f"{where}: {key} holds a password"


def test_the_images_are_built_of_the_sources_alone():
    """Neither a secret nor .env, .git and build get into a context that begins with nothing."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    sources = {"CMakeLists.txt", "CMakePresets.json", "proto", "shared", "services", "config/sql", "tools/setup", "tools/importer"}
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert rules[0] == "*" and let_in == sources, f"the images' context begins with {rules[0]}, and has {sorted(let_in - sources)} too"


def stages():
    return dict(re.findall(r"^FROM \S+ AS (\w+)\n(.*?)(?=^FROM |\Z)", (ROOT / "Dockerfile").read_text(), re.M | re.S))


def test_every_image_runs_as_a_user_without_rights():
    for service in SERVICES:
        assert re.findall(r"^USER (.+)$", stages()[service], re.M) == ["10001:10001"], f"the image of {service} does not run as 10001"


def test_every_container_tells_whether_it_is_healthy():
    """Ours by their images, the others by the compose file; migrate ends, and tells by its status."""
    for service in SERVICES:
        commands = re.findall(r"^HEALTHCHECK .*?CMD (.+)$", stages()[service], re.M)
        assert commands == [f'["{service}", "--health-check"]'], f"the image of {service} does not tell whether it is healthy"
    for name, about in compose_services():
        if name in SERVICES or name in WITHOUT_HEALTH:
            assert "healthcheck" not in about, name
        elif about["restart"] != "no":
            assert about.get("healthcheck", {}).get("test", ["NONE"])[0] in ("CMD", "CMD-SHELL"), f"nobody asks whether {name} is healthy"


# ---- what the stores read: each one's own program takes it


def test_nats_takes_its_configuration(tmp_path):
    make_secrets(tmp_path)
    (tmp_path / "etc/nats").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "secrets").rename(tmp_path / "run/secrets")  # nats.conf names it by the way from its own folder
    for name in ("nats.conf", "nats.tls.conf"):
        text = (ROOT / "config/prod" / name).read_text()
        (tmp_path / "etc/nats" / name).write_text(text.replace('"/run/secrets/', f'"{tmp_path}/run/secrets/'))
    env = {"NATS_SERVER_NAME": "a", "NATS_HOST": "127.0.0.1", "NATS_PORT": "4222", "NATS_MONITOR": "127.0.0.1:8222", "NATS_STORE": str(tmp_path),
           "NATS_MAX_FILE_STORE": "1GB", "NATS_USER": "a", "NATS_PASSWORD": "b"}
    for file in (ROOT / "config/nats.conf", tmp_path / "etc/nats/nats.conf", tmp_path / "etc/nats/nats.tls.conf"):
        done = run(".run/bin/nats-server", "-t", "-c", file, env=env)
        assert done.returncode == 0, done.stderr


def test_redis_takes_its_configuration(tmp_path):
    """It has no option for that; but without a port it ends as soon as it has read all."""
    text = (ROOT / "config/prod/redis.conf").read_text()
    for path, to in (("/etc/adledger/redis.conf", ROOT / "config/redis.conf"), ("/run/secrets/redis_authorization", tmp_path / "login"), ("dir /data", f"dir {tmp_path}")):
        assert path in text
        text = text.replace(path, str(to))
    (tmp_path / "login").write_text("requirepass a\n")
    (tmp_path / "redis.conf").write_text(text)
    done = run("redis-server", tmp_path / "redis.conf", "--port", "0")
    assert "Configured to not listen anywhere" in done.stdout, done.stdout + done.stderr


def test_postgres_takes_its_configuration(tmp_path):
    done = run(PG_BIN / "postgres", "-C", "shared_buffers", "-D", tmp_path, "-c", f"config_file={ROOT / 'config/postgresql.conf'}")
    assert done.returncode == 0, done.stderr


def test_postgres_by_compose_takes_its_configuration_and_nobody_in_plain_text():
    """In single-user mode, which reads both files and listens nowhere."""
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="adledger-postgres-", dir="/tmp") as work:
        folder = Path(work)
        for file in ("config/postgresql.conf", "config/prod/pg_hba.conf"):
            shutil.copy(ROOT / file, folder)
        text = (ROOT / "config/prod/postgresql.conf").read_text()
        (folder / "postgresql.prod.conf").write_text(text.replace("/etc/adledger/pg_hba.conf", f"{folder}/pg_hba.conf"))
        if as_user:
            folder.chmod(0o755)
            (folder / "data").mkdir()
            shutil.chown(folder / "data", "postgres")
        made = run(*as_user, PG_BIN / "initdb", "-D", folder / "data", "-U", "postgres", "--no-sync", "--auth=trust")
        assert made.returncode == 0, made.stderr
        rules = "SELECT coalesce(error, type) AS rule FROM pg_hba_file_rules WHERE current_setting('ssl')::bool"
        done = run(*as_user, PG_BIN / "postgres", "--single", "-D", folder / "data", "-c", f"config_file={folder}/postgresql.prod.conf", "postgres", text=rules)
    assert done.returncode == 0, done.stderr
    assert re.findall(r'rule = "(.*)"', done.stdout) == ["local", "local", "hostssl"], done.stdout + done.stderr


# What Grafana 11 reads of an entry, and of its jsonData by type, as far as it is of use here: it passes over the rest without a word.
PROVISIONED = {
    "providers": {"name", "orgId", "type", "folder", "folderUid", "disableDeletion", "updateIntervalSeconds", "allowUiUpdates", "options"},
    "datasources": {"name", "uid", "type", "access", "orgId", "url", "user", "database", "basicAuth", "basicAuthUser", "withCredentials", "isDefault", "version",
                    "editable", "correlations", "jsonData", "secureJsonData"},
}
JSON_DATA = {
    "prometheus": {"timeInterval", "queryTimeout", "httpMethod", "prometheusType", "prometheusVersion"},
    "grafana-postgresql-datasource": {"database", "sslmode", "tlsConfigurationMethod", "sslRootCertFile", "sslCertFile", "sslKeyFile", "postgresVersion", "timescaledb",
                                      "maxOpenConns", "maxIdleConns", "connMaxLifetime", "timeInterval"},
}


@pytest.mark.parametrize("name, kind", [("dashboards", "providers"), ("datasources", "datasources")])
def test_grafana_is_told_nothing_that_it_does_not_know(name, kind):
    about = yaml.safe_load((ROOT / f"grafana/provisioning/{name}/adledger.yaml").read_text())
    assert set(about) == {"apiVersion", kind} and about["apiVersion"] == 1
    for entry in about[kind]:
        assert not set(entry) - PROVISIONED[kind], f"{entry['name']} has a key that is not known: {set(entry) - PROVISIONED[kind]}"
        unknown = set(entry.get("jsonData", {})) - JSON_DATA.get(entry["type"], set())
        assert not unknown, f"{entry['name']} has a key in jsonData that is not known: {unknown}"


# ---- what the stores keep is on the disk


def config(name):
    return (ROOT / "config" / name).read_text()


def config_maps():
    """What k8s/all.yaml gives the stores to read, by file."""
    objects = yaml.safe_load_all((ROOT / "k8s/all.yaml").read_text())
    return {name: text for about in objects if about["kind"] == "ConfigMap" for name, text in about["data"].items()}


def test_nats_syncs_before_it_acknowledges():
    for where, text in (("config/nats.conf", config("nats.conf")), ("config/prod/nats.conf", config("prod/nats.conf")), ("k8s/all.yaml", config_maps()["nats.conf"])):
        assert re.findall(r"^\s*sync_interval\W+(\w+)", text, re.M) == ["always"], f"by {where} NATS acknowledges what is not on the disk"


def test_redis_keeps_a_file_and_evicts_nothing():
    included, in_cluster = "include /etc/adledger/redis.conf\n", config_maps()
    for where, shared, prod in (("config", config("redis.conf"), config("prod/redis.conf")), ("k8s/all.yaml", in_cluster["redis.conf"], in_cluster["redis.prod.conf"])):
        assert included in prod, where
        for text in (shared, prod.replace(included, shared)):  # what is said last holds
            said = dict(re.findall(r"^(appendonly|appendfsync|maxmemory-policy) +(\S+)", text, re.M))
            assert said == {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}, f"by {where} Redis has {said}"


@pytest.mark.parametrize("name", ["fsync", "synchronous_commit", "full_page_writes"])
def test_postgres_commits_to_the_disk(tmp_path, name):
    """Its own program says what it has understood, by compose of the whole command."""
    for file, text in (("postgresql.conf", config("postgresql.conf")), ("postgresql.prod.conf", config("prod/postgresql.conf")), ("k8s.conf", config_maps()["postgresql.conf"])):
        (tmp_path / file).write_text(text)
    by_compose = [part.replace("/etc/adledger", str(tmp_path)) for part in dict(compose_services())["postgres"]["command"][1:]]
    for where, argv in (("config/postgresql.conf", ["-c", f"config_file={tmp_path}/postgresql.conf"]), ("compose", by_compose), ("k8s/all.yaml", ["-c", f"config_file={tmp_path}/k8s.conf"])):
        done = run(PG_BIN / "postgres", "-C", name, "-D", tmp_path, *argv)
        assert (done.stdout, done.returncode) == ("on\n", 0), f"by {where} PostgreSQL has {name} {done.stdout}{done.stderr}"


# ---- the files of the checks themselves


def test_the_lock_file_names_no_place_to_download_from():
    assert "://" not in re.sub(r'"url": "[^"]*"', "", (ROOT / "tests/package-lock.json").read_text())


def test_the_shell_scripts_have_no_findings():
    scripts = ["run", "test", "tools/setup", "tools/build", "tools/docs", "tools/images", "tools/manifests", "tests/deploy/engine", "tests/deploy/runc-plain",
               "tests/deploy/standin/postgres-entrypoint", "config/prod/postgres-init.sh",
               "config/prod/postgres-start.sh"]
    done = run("shellcheck", *scripts)
    assert done.returncode == 0, done.stdout


# ---- secrets


MAKE_SECRETS = (sys.executable, "tools/make_secrets.py")


def places(folder):
    return {"SECRETS_DIR": str(folder / "secrets"), "SECRETS_ENV": str(folder / ".env")}


def make_secrets(folder, *before):
    done = run(*before, *MAKE_SECRETS, env=places(folder))
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_text() for path in (folder / "secrets").iterdir()}


def test_secrets_are_made_once_and_closed_to_others(tmp_path):
    first = make_secrets(tmp_path)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()}
    assert modes.pop("authority.key") == 0o600 and set(modes.values()) == {0o640}
    assert make_secrets(tmp_path) == first
    passwords = [text for name, text in first.items() if name.endswith(("_password", "_key"))]
    assert len(set(passwords)) == len(passwords) and all(len(text) > 40 for text in passwords)


def test_a_deleted_password_comes_anew_and_everywhere(tmp_path):
    first = make_secrets(tmp_path)
    (tmp_path / "secrets/nats_password").unlink()
    second = make_secrets(tmp_path)
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"nats_password", "nats_url", "nats_authorization"}


def test_who_makes_certificates_anew_is_told_what_has_the_former_ones(tmp_path):
    assert "former certificates" not in run(*MAKE_SECRETS, env=places(tmp_path)).stdout
    (tmp_path / "secrets/nats.pem").unlink()
    assert "former certificates" in run(*MAKE_SECRETS, env=places(tmp_path)).stdout


def test_what_receivers_are_told_by_is_left_as_it_is(tmp_path):
    assert make_secrets(tmp_path)["receiver_page"] == ""
    (tmp_path / "secrets/receiver_page").write_text("an address\n")
    assert make_secrets(tmp_path)["receiver_page"] == "an address\n"


def test_a_key_is_not_in_the_file_that_the_gateway_reads(tmp_path):
    made = make_secrets(tmp_path)
    assert made["admin_key"].strip() not in made["auth_keys"]


def test_compose_mounts_just_the_secrets_that_are_made(tmp_path):
    named = set(re.findall(r"\{file: \./secrets/([\w.]+)\}", (ROOT / COMPOSE).read_text()))
    assert named <= set(make_secrets(tmp_path)) and "authority.key" not in named


# ---- certificates


def changed(folder, *faketime):
    """The names of the files that another run changes."""
    before = {path.name: path.read_text() for path in (folder / "secrets").iterdir()}
    after = make_secrets(folder, *faketime)
    return {name for name in after if before.get(name) != after[name]}


def accepts(folder, server, name):
    secrets = folder / "secrets"
    done = run("openssl", "verify", "-CAfile", secrets / "authority.pem", "-purpose", "sslserver", "-verify_hostname", name, secrets / f"{server}.pem")
    return done.returncode == 0


OF_SERVERS = {"nats.pem", "nats.key", "postgres.pem", "postgres.key"}


def test_each_store_has_a_certificate_for_its_own_name(tmp_path):
    make_secrets(tmp_path)
    for server in ("nats", "postgres"):
        assert {name for name in ("nats", "postgres", "localhost") if accepts(tmp_path, server, name)} == {server}


def test_certificates_are_made_anew_before_they_end(tmp_path):
    make_secrets(tmp_path)
    assert changed(tmp_path, "faketime", "+790 days") == set()
    assert changed(tmp_path, "faketime", "+800 days") == OF_SERVERS
    assert changed(tmp_path, "faketime", "+3630 days") == OF_SERVERS | {"authority.pem", "authority.key"}


def test_certificates_follow_their_authority_and_their_key(tmp_path):
    make_secrets(tmp_path)
    (tmp_path / "secrets/nats.key").unlink()
    assert changed(tmp_path) == {"nats.pem", "nats.key"}
    for path in (tmp_path / "secrets").glob("authority.*"):
        path.unlink()
    assert changed(tmp_path) == OF_SERVERS | {"authority.pem", "authority.key"}
    assert accepts(tmp_path, "postgres", "postgres")


def test_an_authority_whose_key_is_kept_elsewhere_is_left_alone(tmp_path):
    make_secrets(tmp_path)
    (tmp_path / "secrets/authority.key").unlink()
    assert changed(tmp_path) == set()
    (tmp_path / "secrets/nats.pem").unlink()
    done = run(*MAKE_SECRETS, env=places(tmp_path))
    assert done.returncode == 1 and "nats.pem" in done.stderr and "authority.key is not here" in done.stderr


# ---- binaries


def built(service):
    return ROOT / "build/release/services" / service / service


@pytest.mark.parametrize("service", SERVICES)
def test_a_release_is_hardened(service):
    header, dynamic, segments = (run("readelf", "-W", option, built(service)).stdout for option in ("-h", "-d", "-l"))
    code = run("objdump", "-d", "--no-show-raw-insn", built(service)).stdout
    symbols = run("nm", "-D", built(service)).stdout
    assert "DYN (Position-Independent Executable" in header
    assert "BIND_NOW" in dynamic and "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK +\S+ +\S+ +\S+ +\S+ +\S+ +RW +", segments), "an executable stack"
    assert "RUNPATH" not in dynamic and "RPATH" not in dynamic
    assert "__stack_chk_fail" in symbols and "_chk@GLIBC" in symbols.replace("__stack_chk_fail", "")
    if "X86-64" in header:
        assert re.search(r"<main>:\n\s*\w+:\s*endbr64", code), "no control flow protection"
        assert re.search(r"or[ql]\s+\$0x0,(0x0)?\(%rsp\)", code), "no stack clash protection"


# What a binary does not show, or shows as soon as one file of it was compiled so.
HARDENED = {"-O2", "-fPIE", "-D_FORTIFY_SOURCE=3", "-fstack-protector-strong", "-fstack-clash-protection", "-fno-delete-null-pointer-checks", "-fno-strict-overflow", "-fno-strict-aliasing",
            "-ftrivial-auto-var-init=zero"}
OF_MACHINES = {"x86_64": {"-fcf-protection=full"}, "aarch64": {"-mbranch-protection=standard"}}


def test_every_file_of_a_release_is_compiled_hardened():
    for entry in json.loads((ROOT / "build/release/compile_commands.json").read_text()):
        file, flags = entry["file"], set(shlex.split(entry["command"]))
        wanted = HARDENED | OF_MACHINES.get(platform.machine(), set())
        assert wanted <= flags, f"{file} is compiled without {sorted(wanted - flags)}"
        assert "-DNDEBUG" not in flags, f"{file} is compiled without its assertions"


@pytest.mark.parametrize("service", SERVICES)
def test_a_release_names_no_path_of_the_machine_that_built_it(service):
    assert str(ROOT).encode() not in built(service).read_bytes()
