"""What a harness plays on: a PostgreSQL that can be killed, the scripted sink, proxies, and processes of the program.

Python's time.monotonic_ns() is CLOCK_MONOTONIC, the clock of the sink's log, so that times can be compared.
"""

import glob
import http.client
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

# Whoever ends a harness wants its processes ended, too.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

ROOT = pathlib.Path(__file__).resolve().parents[3]
SECRET = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
LEASE = 6.0  # Of a build with the feature fault-injection: see LEASE in the domain crate.


def programs():
    """The folder with the instrumented program, the sink, the proxy and the trace check: `just harness-build` makes it."""
    folder = pathlib.Path(os.environ.get("HARNESS_PROGRAMS", ROOT / "target/harness"))
    for name in ("muster", "scripted-sink", "fault-proxy", "trace-check"):
        if not (folder / name).exists():
            raise SystemExit(f"there is no {name} in {folder}: run `just harness-build`")
    return folder


def wait_until(what, true, seconds=120, every=0.05):
    """Asks until the answer is not false, and gives it back."""
    give_up = time.monotonic() + seconds
    while True:
        answer = true()
        if answer:
            return answer
        if time.monotonic() > give_up:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        time.sleep(every)


class Postgres:
    """A throwaway server. A kill of its processes loses nothing that the kernel was given, so it runs without fsync."""

    def __init__(self, folder, settings=()):
        places = [os.environ.get("MUSTER_PG_BIN"), *sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: -int(p.split("/")[4])),
                  os.path.dirname(shutil.which("initdb") or "")]
        self.bin = next(place for place in places if place and os.path.exists(f"{place}/initdb"))
        self.folder = pathlib.Path(folder)
        self.data, self.log = self.folder / "data", self.folder / "postgres.log"
        self.user = "postgres" if os.geteuid() == 0 else None
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.user:
            shutil.chown(self.folder, self.user)
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            for line in (f"unix_socket_directories = '{self.folder}'", "listen_addresses = ''", "fsync = off", "max_connections = 300",
                         "shared_buffers = 256MB", "max_wal_size = 2GB", "log_min_messages = warning", *settings):
                conf.write(line + "\n")
        self.socket = self.folder / ".s.PGSQL.5432"
        self.start()

    def run(self, program, *arguments):
        done = subprocess.run([f"{self.bin}/{program}", *map(str, arguments)], user=self.user, capture_output=True, text=True, cwd="/",
                              check=False)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    def start(self):
        # Without -w's own pipe: pg_ctl's child must not hold ours open.
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            subprocess.run([f"{self.bin}/pg_ctl", "-D", str(self.data), "-l", str(self.log), "-w", "-t", "60", "start"], user=self.user,
                           stdout=nowhere, stderr=nowhere, cwd="/", check=True)

    def stop(self, how="immediate"):
        self.run("pg_ctl", "-D", self.data, "-m", how, "-w", "stop")

    def url(self, database):
        return f"postgres://postgres@{urllib.parse.quote(str(self.folder), safe='')}/{database}"

    def sql(self, database, *statements):
        """The first column of the first row of the last of them, as text."""
        command = [f"{self.bin}/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url(database)]
        for statement in statements:
            command += ["-c", statement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        lines = done.stdout.strip().splitlines()
        return lines[-1].split("|")[0] if lines else None


class Process:
    """A child with its log; killed at the end."""

    def __init__(self, name, command, log, env=None, piped=False):
        self.name, self.command, self.env, self.log = name, [str(part) for part in command], dict(env or {}), log
        self.piped, self.child = piped, None
        self.start()

    def start(self):
        env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **self.env}
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.command, stdin=subprocess.PIPE if self.piped else subprocess.DEVNULL,
                                          stdout=subprocess.PIPE if self.piped else log, stderr=log, env=env, text=True, bufsize=1)

    def send(self, number):
        self.child.send_signal(number)

    def kill(self):
        self.child.kill()
        self.child.wait()

    def start_again(self):
        """Starts it once more, without the point at which it died."""
        self.env.pop("CRASH_AT", None)
        self.start()

    def stopped(self):
        """Whether it stands still under SIGSTOP."""
        try:
            return pathlib.Path(f"/proc/{self.child.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False

    def hear(self, word):
        """The rest of the next line that begins with `word`."""
        for line in self.child.stdout:
            if line.startswith(word):
                return line[len(word):].strip()
        raise RuntimeError(f"{self.name} ended: {pathlib.Path(self.log).read_text(encoding='utf-8')}")

    def say(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()


class Orders:
    """What was done and when, as the checker reads it."""

    def __init__(self, path):
        self.path, self.lock = path, threading.Lock()
        self.file = open(path, "a", encoding="utf-8")

    def note(self, what, **details):
        line = json.dumps({"what": what, **details})
        with self.lock:
            self.file.write(line + "\n")
            self.file.flush()

    def read(self):
        return [json.loads(line) for line in pathlib.Path(self.path).read_text(encoding="utf-8").splitlines()]

    def fault(self, kind, who):
        self.note("fault", kind=kind, who=who, at=time.monotonic_ns())


class Answer:
    """What the API said, when it was asked and when it had answered."""

    def __init__(self, status, body, called, answered, tries):
        self.status, self.body, self.called, self.answered, self.tries = status, body, called, answered, tries

    def times(self):
        return {"called": self.called, "answered": self.answered, "status": self.status, "tries": self.tries}


class Api:
    """A caller with a key, which asks another server when one is away."""

    def __init__(self, addresses, key):
        self.addresses, self.key, self.turn = addresses, key, itertools.count()

    def call(self, method, path, body=None, media_type="application/json", repeat=None, seconds=120, wanted=(200, 201, 202, 204), timeout=60):
        data = None if body is None else (body if isinstance(body, (str, bytes)) else json.dumps(body))
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if data is not None:
            headers["Content-Type"] = media_type
        if repeat:
            headers["Idempotency-Key"] = repeat
        called, give_up, tries = time.monotonic_ns(), time.monotonic() + seconds, 0
        while True:
            host, port = self.addresses[next(self.turn) % len(self.addresses)]
            tries += 1
            try:
                connection = http.client.HTTPConnection(host, port, timeout=timeout)
                connection.request(method, path, body=data, headers=headers)
                response = connection.getresponse()
                text = response.read()
                answered, status = time.monotonic_ns(), response.status
                connection.close()
                # 409 is also what a repeat gets while the first is still running, or ran on a process that is gone.
                if status < 500 and not (status == 409 and repeat and tries > 1 and b"conflict" in text):
                    if wanted and status not in wanted:
                        raise RuntimeError(f"{method} {path}: {status} {text[:500]!r}")
                    kind = response.headers.get("Content-Type", "")
                    return Answer(status, json.loads(text) if text and "json" in kind else text, called, answered, tries)
                problem = f"{status} {text[:300]!r}"
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
            if time.monotonic() > give_up:
                raise TimeoutError(f"{method} {path}: {problem}")
            time.sleep(0.1)

    def get(self, path):
        return self.call("GET", path).body

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, repeat=more.pop("repeat", None) or str(uuid.uuid4()), **more)


class Stage:
    """One installation: a database, a sink, and as many processes as asked for."""

    def __init__(self, postgres, folder, seed=0, faults=(), sessions=4, workers=1, servers=1, through_proxy=False, smtp_proxy=False, server_proxy=False,
                 env=None, worker_env=None, server_env=None, database=None, template="migrated", program=None, sink=None):
        self.postgres, self.folder, self.programs = postgres, pathlib.Path(folder), programs()
        self.program = pathlib.Path(program or self.programs / "muster")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.database = database or f"stage_{uuid.uuid4().hex[:12]}"
        if not database:
            postgres.sql("postgres", f"CREATE DATABASE {self.database} TEMPLATE {template}")
        self.orders = Orders(self.folder / "orders.jsonl")
        self.sink_log = self.folder / "sink.log"
        self.processes, self.proxies = [], {}
        command = [self.programs / "scripted-sink", "--log", self.sink_log, "--seed", seed]
        for fault in faults:
            command += ["--fault", fault]
        self.sink = self.piped("sink", command)
        smtp = sink or self.sink.hear("listening")
        if smtp_proxy:
            smtp = self.proxy("smtp", smtp)
        url = postgres.url(self.database)
        if through_proxy:
            url = f"postgres://postgres@{self.proxy('postgres', f'unix:{postgres.socket}')}/{self.database}"
        # A bug planted from outside is in all that is played.
        planted = {"PLANTED_BUG": os.environ["PLANTED_BUG"]} if "PLANTED_BUG" in os.environ else {}
        self.env = {**planted, "DATABASE_URL": url, "MUSTER_SECRET_KEY": SECRET, "MUSTER_STATE_DIR": str(self.folder / "state"),
                    "MUSTER_SMTP_URL": f"smtp://{smtp}?sessions={sessions}", "MUSTER_PUBLIC_URL": "http://127.0.0.1:1", **(env or {})}
        self.addresses = []
        if server_proxy:
            url = f"postgres://postgres@{self.proxy('postgres-serve', f'unix:{postgres.socket}')}/{self.database}"
            server_env = {"DATABASE_URL": url, **(server_env or {})}
        self.servers = [self.serve(index, server_env if index == 0 else None) for index in range(servers)]
        self.workers = [self.work(index, worker_env if index == 0 else None) for index in range(workers)]

    def piped(self, name, command):
        process = Process(name, command, self.folder / f"{name}.log", piped=True)
        self.processes.append(process)
        return process

    def proxy(self, name, to):
        process = self.piped(f"{name}-proxy", [self.programs / "fault-proxy", "--to", to])
        self.proxies[name] = process
        return process.hear("listening")

    def tell_proxy(self, name, line):
        """Gives an order to a proxy and waits until it is obeyed."""
        process = self.proxies[name]
        process.say(line)
        return int(process.hear("ok"))

    def muster(self, name, arguments, env=None):
        process = Process(name, [self.program, *arguments], self.folder / f"{name}.log", {**self.env, **(env or {})})
        self.processes.append(process)
        return process

    def serve(self, index, env=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = free.getsockname()
        self.addresses.append(address)
        return self.muster(f"serve{index}", ["serve", "--http-addr", f"{address[0]}:{address[1]}"], env)

    def work(self, index, env=None):
        # It introduces itself by its name, so that the sink's log tells whose each connection was.
        name = f"work{index}"
        return self.muster(name, ["work"], {"MUSTER_SMTP_URL": f"{self.env['MUSTER_SMTP_URL']}&helo={name}.test", **(env or {})})

    def api(self, tenant):
        """A caller for a tenant, which is made if need be; waits until it is served."""
        made = subprocess.run([str(self.program), "keys", "create", "--tenant", tenant, "--workspace", "main"], capture_output=True,
                              text=True, env={**self.env, "DATABASE_URL": self.postgres.url(self.database), "PATH": os.environ["PATH"]},
                              check=False)
        if made.returncode:
            raise RuntimeError(made.stderr)
        api = Api(self.addresses, made.stdout.strip())
        wait_until("the server", lambda: api.call("GET", "/readyz", wanted=None).status == 200)
        return api

    def sql(self, *statements):
        return self.postgres.sql(self.database, *statements)

    def unknown_steps(self):
        """What was done to deliveries and enrollments that is no step of the published tables. For a traced database."""
        tool = str(self.programs / "trace-check")
        lines = subprocess.run([tool, "lines"], capture_output=True, text=True, check=True).stdout
        with subprocess.Popen([f"{self.postgres.bin}/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.postgres.url(self.database),
                               "-c", lines], stdout=subprocess.PIPE) as trace:
            judged = subprocess.run([tool, "judge"], stdin=trace.stdout, capture_output=True, text=True, check=False)
        said = judged.stdout.splitlines()
        steps = [line for line in said if line.startswith("steps ")]
        if trace.returncode or not steps or steps == ["steps 0"]:
            raise RuntimeError(f"the trace cannot be judged: {judged.stderr}{judged.stdout[:500]}")
        return [line.removeprefix("unknown ") for line in said if line.startswith("unknown ")]

    def end(self):
        for process in self.processes:
            if process.child.poll() is None:
                process.send(signal.SIGCONT)
                process.kill()

    def stop_workers(self, seconds=60):
        """Ends the workers in order, as a deployment does."""
        for worker in self.workers:
            if worker.child.poll() is None:
                worker.send(signal.SIGTERM)
        for worker in self.workers:
            worker.child.wait(seconds)


def migrated(postgres, name="migrated", traced=False):
    """A migrated database to copy. In a traced one every change of a delivery or an enrollment is written down."""
    postgres.sql("postgres", f"CREATE DATABASE {name}")
    env = {"DATABASE_URL": postgres.url(name), "PATH": os.environ["PATH"]}
    done = subprocess.run([str(programs() / "muster"), "migrate"], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    if traced:
        postgres.sql(name, subprocess.run([str(programs() / "trace-check"), "watch"], capture_output=True, text=True, check=True).stdout)
    return name


class Temporary:
    """A folder for a run. Kept, and named, when the run was red."""

    def __init__(self, name):
        base = os.environ.get("HARNESS_FOLDER") or ("/dev/shm" if shutil.disk_usage("/dev/shm").free > 4 << 30 else None)
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"muster-{name}-", dir=base))
        self.path.chmod(0o755)

    def end(self, keep):
        if keep:
            print(f"kept: {self.path}")
        else:
            shutil.rmtree(self.path, ignore_errors=True)
