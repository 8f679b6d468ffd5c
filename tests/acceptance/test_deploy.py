"""The files of deploy/ fit the program: settings, commands, limits; checked as far as one can
without a container engine or a cluster."""

from __future__ import annotations

import base64
import http.client
import http.server
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from adsync_dagster.settings import VARIABLES, Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
COMPOSE = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text(encoding="utf-8"))
DAGSTER = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
#: Variables that are Dagster's or Postgres's own.
OTHERS = {"DAGSTER_HOME", "DAGSTER_PG_URL"}


@cache
def commands() -> dict[str, Any]:
    """The programs that our installation brings, as the click commands that they are."""
    import typer  # noqa: PLC0415 - all of these take seconds to load
    from dagster._cli import create_dagster_cli  # noqa: PLC0415
    from dagster._daemon.cli import create_dagster_daemon_cli  # noqa: PLC0415
    from dagster_webserver.cli import dagster_webserver  # noqa: PLC0415

    from adsync_dagster.cli import app  # noqa: PLC0415

    return {
        "adsync": typer.main.get_command(app),
        "dagster": create_dagster_cli(),
        "dagster-daemon": create_dagster_daemon_cli(),
        "dagster-webserver": dagster_webserver,
    }


def check_command(words: list[str]) -> None:
    """The program is installed and knows every subcommand and option of the line."""
    program, rest = Path(words[0]).name, words[1:]
    assert (BIN / program).exists(), program
    command = commands()[program]
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("-")} <= known, words


def test_every_yaml_is_yaml() -> None:
    """Each file parses."""
    for path in DEPLOY.rglob("*.yaml"):
        assert yaml.safe_load(path.read_text(encoding="utf-8")), path


def test_only_settings_that_exist_are_set() -> None:
    """No file sets an ADSYNC_ variable that the program would refuse, or an unknown Dagster one."""
    for path in (file for file in DEPLOY.rglob("*") if file.is_file()):
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"\bADSYNC_[A-Z_]*[A-Z]\b", text)) <= set(VARIABLES), path
        assert set(re.findall(r"\bDAGSTER_(?:HOME|PG_[A-Z]+)\b", text)) <= OTHERS, path


def test_the_environment_of_systemd_is_accepted() -> None:
    """The example file is read without complaint, once the placeholders are filled."""
    text = (DEPLOY / "systemd" / "adsync.env.example").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = dict(line.split("=", 1) for line in lines)
    settings = Settings.from_environment(pairs)
    assert settings.home == Path("/var/lib/adsync")
    assert pairs["DAGSTER_PG_URL"].startswith("postgresql+psycopg2://")


def services() -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE["services"]
    return found


def test_compose_starts_everything_in_order() -> None:
    """Postgres, migration, code server, webserver, daemon: each waits for what it needs."""
    assert set(services()) == {"postgres", "migrate", "code-server", "webserver", "daemon"}
    waits = {name: set(one.get("depends_on", {})) for name, one in services().items()}
    assert waits["migrate"] == {"postgres"}
    assert waits["code-server"] == {"migrate"}
    assert waits["webserver"] == waits["daemon"] == {"code-server"}
    for one in services().values():
        for needed, how in one.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services()[needed]


def test_compose_opens_the_ui_on_loopback_only() -> None:
    """The UI has no login: nothing is published but the webserver, and that to this host."""
    published = {name: one["ports"] for name, one in services().items() if "ports" in one}
    assert published == {"webserver": ["127.0.0.1:3000:3000"]}


def test_compose_holds_no_secret() -> None:
    """Passwords and keys come from .env, which is asked for when it lacks one."""
    text = (DEPLOY / "docker" / "compose.yaml").read_text(encoding="utf-8")
    assert re.findall(r"(?:PASSWORD|TOKEN_KEY):? ?:? (?!\$\{)\S+", text) == []
    example = (DEPLOY / "docker" / ".env.example").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert asked <= set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))


def test_compose_passes_every_setting_on() -> None:
    """What .env sets reaches each of our services; none is given a setting that hides it."""
    for name, one in services().items():
        if name != "postgres":
            assert one["env_file"] == [".env"], name
            fixed = {key for key, value in one["environment"].items() if "${" not in value}
            assert fixed == set(), name


def test_compose_waits_for_the_real_postgres() -> None:
    """The image's first, temporary server answers on the socket only: readiness is asked by TCP."""
    _, command = services()["postgres"]["healthcheck"]["test"]
    assert "--host 127.0.0.1" in command


def test_compose_commands_are_commands() -> None:
    """Each command and health check names a program, a subcommand and options that exist."""
    for name, one in services().items():
        if name == "postgres":
            continue
        for words in (one.get("command"), one.get("healthcheck", {}).get("test", [None])[1:]):
            if words:
                check_command(words)


def test_compose_services_stay_within_their_rights() -> None:
    """Ours run without capabilities on a file system that they cannot write, but for their home."""
    for name, one in services().items():
        if name != "postgres":
            assert one["read_only"] is True
            assert one["cap_drop"] == ["ALL"]
            assert one["volumes"] == ["home:/var/lib/adsync"]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    pairs = [line.split(None, 1) for line in lines]
    return [(word.upper(), rest) for word, rest in pairs]


def test_the_dockerfile_follows_the_usual_rules() -> None:
    """Pinned images and tools, no ADD, no secret, an unprivileged user at the end, an exec CMD."""
    known = {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "USER", "EXPOSE", "CMD"}
    assert {word for word, _ in instructions()} <= known
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert all(":" in base and not base.endswith(":latest") for base in bases)
    users = [rest for word, rest in instructions() if word == "USER"]
    assert users[-1] == "10001:10001"
    assert [word for word, _ in instructions()][-1] == "CMD"
    assert not re.search(r"(TOKEN_KEY|PASSWORD|DATABASE_URL)\s*=", DOCKERFILE)
    assert not re.search(r"apt-get install(?!.*--no-install-recommends)", DOCKERFILE)


def test_the_dockerfile_copies_what_is_there() -> None:
    """Each source exists, and the ignore file lets it through."""
    ignore = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    allowed = {line[1:] for line in ignore.splitlines() if line.startswith("!")}
    for word, rest in instructions():
        if word != "COPY" or "--from=" in rest:
            continue
        sources = [part for part in rest.split() if not part.startswith("--")][:-1]
        for source in sources:
            clean = source.removeprefix("./")
            assert (ROOT / clean).exists(), source
            assert clean in allowed, source
    assert {name for name in allowed if not (ROOT / name).exists()} == set()


def test_the_dockerfile_installs_as_the_makefile_does() -> None:
    """The same uv, and its command is the code server's."""
    script = (ROOT / "scripts" / "install.sh").read_text(encoding="utf-8")
    (version,) = re.findall(r"^uv_version=(\S+)", script, re.MULTILINE)
    assert f"uv=={version}" in DOCKERFILE
    (command,) = [rest for word, rest in instructions() if word == "CMD"]
    words = yaml.safe_load(command)
    check_command(words)
    assert "adsync_dagster.definitions" in words


#: What the chart documents, as deep as we use it; its schema refuses keys of the project's own.
CHART = {
    "global": {"postgresqlSecretName", "dagsterHome"},
    "generatePostgresqlPasswordSecret": None,
    "postgresql": {
        "enabled", "postgresqlScheme", "postgresqlHost", "postgresqlUsername",
        "postgresqlDatabase", "service",
    },
    "dagster-user-deployments": {"enabled", "enableSubchart", "deployments"},
    "runLauncher": {"type", "config"},
    "dagsterDaemon": {
        "enabled", "runMonitoring", "runRetries", "runCoordinator", "sensors", "schedules",
    },
    "dagsterWebserver": {"replicaCount", "service"},
    "ingress": {"enabled"},
    "retention": {"enabled", "sensor", "schedule"},
    "pythonLogs": {"pythonLogLevel", "managedPythonLoggers"},
    "telemetry": {"enabled"},
}  # fmt: skip
DEPLOYMENT = {
    "name", "image", "dagsterApiGrpcArgs", "port", "env", "envSecrets",
    "includeConfigInLaunchedRuns", "resources",
}  # fmt: skip


def test_helm_values_use_keys_of_the_chart() -> None:
    """Every key is one that the chart documents."""
    assert set(VALUES) == set(CHART)
    for name, keys in CHART.items():
        if keys is not None:
            assert set(VALUES[name]) <= keys, name
    for deployment in VALUES["dagster-user-deployments"]["deployments"]:
        assert set(deployment) <= DEPLOYMENT
        check_command(["dagster", "api", "grpc", *deployment["dagsterApiGrpcArgs"]])
    assert set(VALUES["runLauncher"]["config"]) == {"k8sRunLauncher"}


def test_the_migration_of_kubernetes_names_its_database() -> None:
    """The Job cannot start without the warehouse's address, and runs what the image has."""
    job = yaml.safe_load((DEPLOY / "kubernetes" / "migrate-job.yaml").read_text(encoding="utf-8"))
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    check_command(container["command"])
    (address,) = [one for one in container["env"] if one["name"] == "ADSYNC_DATABASE_URL"]
    key = address["valueFrom"]["secretKeyRef"]
    (deployment,) = VALUES["dagster-user-deployments"]["deployments"]
    assert {"name": key["name"]} in deployment["envSecrets"]
    assert not key.get("optional")
    image = deployment["image"]
    assert container["image"] == f"{image['repository']}:{image['tag']}"
    assert "kubectl run" not in (DEPLOY / "kubernetes" / "values.yaml").read_text(encoding="utf-8")


def camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def test_helm_values_say_what_dagster_yaml_says() -> None:
    """The chart writes its own dagster.yaml: limits, retries and retention must not drift apart."""
    daemon = VALUES["dagsterDaemon"]
    queue = daemon["runCoordinator"]["config"]["queuedRunCoordinator"]
    runs = DAGSTER["concurrency"]["runs"]
    assert queue["tagConcurrencyLimits"] == runs["tag_concurrency_limits"]
    assert queue["maxConcurrentRuns"] == runs["max_concurrent_runs"]
    assert queue["dequeueIntervalSeconds"] == DAGSTER["run_queue"]["dequeue_interval_seconds"]
    for ours, chart in (("run_monitoring", "runMonitoring"), ("run_retries", "runRetries")):
        assert daemon[chart] == {camel(key): value for key, value in DAGSTER[ours].items()}
    for kind in ("sensor", "schedule"):
        days = DAGSTER["retention"][kind]["purge_after_days"]
        assert VALUES["retention"][kind]["purgeAfterDays"] == days
    for kind in ("sensors", "schedules"):
        ours = {camel(key): value for key, value in DAGSTER[kind].items()}
        assert daemon[kind] == ours
    logs = {camel(key): value for key, value in DAGSTER["python_logs"].items()}
    assert VALUES["pythonLogs"] == logs


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_commands_are_commands(unit: Path) -> None:
    """What a unit starts is installed by us and knows its options; nobody runs as root."""
    text = unit.read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    check_command(shlex.split(line))
    assert "\nUser=adsync\n" in text
    assert "\nEnvironmentFile=/etc/adsync/adsync.env\n" in text
    for needed in re.findall(r"\badsync-[a-z-]+\.service\b", text):
        assert (DEPLOY / "systemd" / needed).exists()


def test_commands_on_a_systemd_host_get_the_services_variables() -> None:
    """The documented wrapper has options that systemd-run knows and a file that exists by then."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (body,) = re.findall(r"^cat > /usr/local/bin/adsync <<'EOF'\n(.*?)^EOF$", page, re.M | re.S)
    syntax = subprocess.run(["sh", "-n"], input=body, text=True, check=False)
    assert syntax.returncode == 0
    (line,) = re.findall(r"^exec (.*)$", body.replace("\\\n", " "), re.MULTILINE)
    words = shlex.split(line)
    assert words[0] == "systemd-run"
    program = words.index("/opt/adsync/.venv/bin/adsync")
    options, files = words[1:program], ["EnvironmentFile=/etc/adsync/adsync.env"]
    assert words[program + 1 :] == ["$@"]
    assert files == [one.partition("=")[2] for one in options if one.startswith("--property=")]
    if shutil.which("systemd-run") is not None:
        told = subprocess.run(["systemd-run", "--help"], capture_output=True, text=True, check=True)
        known = set(re.findall(r"--[a-z-]+", told.stdout))
        assert {option.partition("=")[0] for option in options} <= known


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """systemd's own check has nothing to say about any of them."""
    programs = str(BIN).replace(" ", r"\x20")
    for path in (DEPLOY / "systemd").glob("adsync-*"):
        text = path.read_text(encoding="utf-8").replace("/opt/adsync/.venv/bin", programs)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    units = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *units],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.strip()) == (0, "")


class Upstream(http.server.BaseHTTPRequestHandler):
    """Stands for Dagster's webserver: says yes to whatever comes through."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"login={self.headers.get('Authorization')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """nginx with the shipped guard before a webserver that says yes; plain HTTP, other paths."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("needs nginx")
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    port = free_port()
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    text = (DEPLOY / "nginx" / "adsync.conf").read_text(encoding="utf-8")
    text = re.sub(r"listen 443 ssl", f"listen 127.0.0.1:{port}", text)
    text = re.sub(r"^ *ssl_.*\n", "", text, flags=re.MULTILINE)
    text = text.replace("127.0.0.1:3000", f"127.0.0.1:{upstream.server_address[1]}")
    text = text.replace("/etc/nginx/adsync.htpasswd", str(folder / "htpasswd"))
    (folder / "htpasswd").write_text("me:{PLAIN}secret\n", encoding="utf-8")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"{'user root; ' if os.geteuid() == 0 else ''}daemon off; pid {folder}/pid;"
        f" error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{text}\n}}\n",
        encoding="utf-8",
    )
    process = subprocess.Popen([nginx, "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=20)
        upstream.shutdown()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "nginx refused the configuration"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            continue
        return
    raise AssertionError("nginx did not start")


LOGIN = {"Authorization": "Basic " + base64.b64encode(b"me:secret").decode()}
HERE = {"Origin": "https://adsync.example.com", "Sec-Fetch-Site": "same-origin"}
ELSEWHERE = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
MUTATION = "/graphql?query=mutation%7BlaunchRun%7D"


def ask(port: int, method: str, path: str, headers: dict[str, str]) -> tuple[int | None, str]:
    """Status and body; None when the connection was closed without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body=b"{}" if method == "POST" else None,
                           headers={"Host": "adsync.example.com", **headers})  # fmt: skip
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None, ""
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", MUTATION, {**LOGIN, **ELSEWHERE}, 403),
        ("GET", MUTATION, {**LOGIN, **HERE}, 403),
        ("GET", MUTATION, LOGIN, 403),
        ("POST", "/graphql", {**LOGIN, **ELSEWHERE}, 403),
        ("POST", "/graphql", {**LOGIN, "Origin": "null"}, 403),
        ("POST", "/graphql", {**LOGIN, "Sec-Fetch-Site": "same-site"}, 403),
        ("POST", "/graphql", {**HERE}, 401),
        ("POST", "/graphql", {**LOGIN, **HERE}, 200),
        ("POST", "/graphql", LOGIN, 200),
        ("GET", "/graphql", {**LOGIN, **HERE, "Upgrade": "websocket"}, 200),
        ("GET", "/graphql", {**LOGIN, **ELSEWHERE, "Upgrade": "websocket"}, 403),
        ("POST", "/report_asset_materialization/x", {**LOGIN, **ELSEWHERE}, 403),
        ("POST", "/report_asset_materialization/x", LOGIN, 200),
        ("GET", "/runs", {}, 401),
        ("GET", "/runs", LOGIN, 200),
        ("GET", "/runs", {**LOGIN, "Sec-Fetch-Site": "cross-site"}, 200),
        ("GET", "/runs", {**LOGIN, "Host": "evil.example"}, None),
    ],
)
def test_the_proxy_lets_through_what_it_should(
    proxy: int, method: str, path: str, headers: dict[str, str], status: int | None
) -> None:
    """Cross-site requests, GET of GraphQL and foreign names end at the proxy; people get in."""
    assert ask(proxy, method, path, headers)[0] == status


def test_the_login_stays_at_the_proxy(proxy: int) -> None:
    """Dagster never sees the password."""
    assert ask(proxy, "GET", "/runs", LOGIN)[1] == "login=None"
