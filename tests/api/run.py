#!/usr/bin/env python3
"""Tests the shop's HTTP API against the document that the host makes of it, with schemathesis.

    run.py TARGET_DIR [DOCUMENT]      with what `make build` built; DOCUMENT is a file in place of the host's /openapi.json

Starts a shop of its own, gives it a small catalogue and a customer, and has schemathesis send generated requests: as that customer, as the
administrator, and without a token. SEED=n takes the seed of an earlier run; what is sent depends on the shop's answers too, so the same
seed sends much the same, not quite.

Fails where a check fails, where a phase did not run, where there are several operations of which no valid request was accepted, and where
fewer than 3,000 generated requests were checked over the three runs.
"""

import json
import os
import pathlib
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import venv

CASES_MIN = 3000

# Of so many operations chance may have had every valid request refused: some are accepted four times in a run. More show that something is
# wrong with the document, the shop or the hooks.
REFUSED_MAX = 3

# A host that needs longer than this to start or to end, and a run that needs longer than that, have failed: bounds, not measures.
HOST_SECONDS_MAX = 60
RUN_SECONDS_MAX = 600

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def main():
    # Asked to end, it ends the host before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    target = pathlib.Path(sys.argv[1]).resolve()
    work = target / "api"
    schemathesis = install(work)
    # All that follows stays on this machine, also where a proxy is set.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    seed = int(os.environ.get("SEED") or random.randrange(1, 2**31))
    shop = Shop(target, work)
    try:
        document = sys.argv[2] if len(sys.argv) > 2 else f"{shop.url}/openapi.json"
        operations = operations_of(document)
        callers = shop.furnish()
        reports = {caller["role"]: call(schemathesis, work, shop.url, document, seed, caller) for caller in callers}
    finally:
        status = shop.stop()
    return verdict(reports, operations, status, seed)


def install(work):
    """Makes a virtual environment with schemathesis, once for each state of requirements.txt, and gives the program."""
    wanted = HERE / "requirements.txt"
    folder = work / "venv"
    installed = folder / "requirements.txt"
    if not installed.exists() or installed.read_bytes() != wanted.read_bytes():
        print("installing schemathesis (once)", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        pip = [folder / "bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--requirement", wanted], check=True)
        shutil.copyfile(wanted, installed)
    return folder / "bin/schemathesis"


class Shop:
    """A host with a shop of its own, in a folder that is made anew."""

    def __init__(self, target, work):
        site = work / "site"
        shutil.rmtree(site, ignore_errors=True)
        (site / "data").mkdir(parents=True)
        (site / "bulkhead.toml").write_text(manifest(target))
        self.password = secrets.token_urlsafe()
        self.position = None
        command = [target / "release/bulkhead", "up", "--manifest", site / "bulkhead.toml", "--data", site / "data"]
        command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        own = {name: value for name, value in os.environ.items() if not name.startswith("BULKHEAD_")}
        with open(site / "host.log", "w") as log:
            self.process = subprocess.Popen(
                command,
                env={**own, "SHOP_ADMIN_PASSWORD": self.password},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        # One that does not come to listen is ended, and with it what it writes.
        bound = threading.Timer(HOST_SECONDS_MAX, self.process.kill)
        bound.start()
        lines = (re.match(r"listening on (http://\S+)", line) for line in self.process.stdout)
        address = next(filter(None, lines), None)
        bound.cancel()
        if address is None:
            self.stop()
            sys.exit(f"the host does not listen: see {site}/host.log")
        self.url = address[1]

    def stop(self):
        """Asks the host to end, by its own process id, and gives its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(HOST_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def furnish(self):
        """Makes a catalogue and a customer, and gives what hooks.py is told of each who calls."""
        admin = self.post("/sessions", {"email": "admin@shop.example", "password": self.password})
        products = []
        category = None
        for number in range(3):
            new = {"name": f"Category {number}", "slug": f"category-{number}", "parent_category_id": category}
            category = self.post("/categories", new, admin["token"])["id"]
            for name in ("Lamp", "Chair", "Kettle"):
                new = {"category_id": category, "name": name, "price": "19.99", "sku": f"{name}-{number}", "stock_quantity": 1000}
                products.append(self.post("/products", new, admin["token"])["id"])
        account = {"email": "ada@shop.example", "password": secrets.token_urlsafe()}
        customer = self.post("/users", {**account, "first_name": "Ada", "last_name": "Lovelace"})["id"]
        token = self.post("/sessions", account)["token"]
        orders = self.order(products[0], token, admin["token"])
        each = {"products": products, "orders": orders, "position": self.position}
        return [
            {"role": "customer", "token": token, "user_id": customer, **account, **each},
            {"role": "admin", "token": admin["token"], "user_id": admin["user_id"], "customer_id": customer, **each},
            {"role": "nobody", **each},
        ]

    def order(self, product, token, admin):
        """Places orders in the states that requests are about, and gives the ids with the states."""
        shipping = {"recipient_name": "Ada", "address_line1": "1 Quay", "city": "Ulm", "postal_code": "89073", "country": "DE"}
        found = {}
        for status in ["reserved", "paid", "shipped"] * 4:
            payment = {"method": "card", "token": "tok_declined" if status == "reserved" else "tok_ok"}
            new = {"items": [{"product_id": product, "quantity": 1}], "shipping": shipping, "payment": payment}
            # The order service hears of the product a moment after it was made, and waits for that.
            order = self.post("/orders", new, token)["id"]
            reached = "paid" if status == "shipped" else status
            end = time.monotonic() + HOST_SECONDS_MAX
            while self.send(f"/orders/{order}", None, token)["status"] != reached:
                if time.monotonic() > end:
                    sys.exit(f"the order {order} did not become {reached}")
            if status == "shipped":
                self.post(f"/orders/{order}/ship", {"carrier": "DHL", "tracking_number": "1"}, admin)
            found[order] = status
        return found

    def post(self, path, body, token=None):
        """Sends JSON, when the service knows of all that was written before, and gives what is answered."""
        return self.send(path, json.dumps(body).encode(), token)

    def send(self, path, body, token):
        """Sends a request, remembers the position that is given, and gives what is answered."""
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if self.position is not None:
            headers["Bulkhead-After"] = self.position
        request = urllib.request.Request(self.url + path, body, headers)
        with urllib.request.urlopen(request) as answer:
            self.position = answer.headers["Bulkhead-Position"] or self.position
            return json.load(answer)


def manifest(target):
    """The shop's own manifest, with the components that were built.

    As in other tests, passwords cost next to nothing to hash, and services have more time than any busy machine needs.
    """
    text = (ROOT / "bulkhead.toml").read_text()
    text = re.sub(r'source = "components/(\w+)"', rf'source = "{target}/components/\1.wasm"', text)
    section = "[service.user.config]\n"
    text = text.replace(section, f"{section}argon2_memory_kib = 8\nargon2_iterations = 1\n")
    services = re.findall(r"^\[service\.(\w+)\]$", text, re.MULTILINE)
    limits = [f'[service.{name}.limits]\nrequest_timeout = "30s"\nlease_hold = "10s"\n' for name in services]
    return "\n".join([text, *limits])


def operations_of(document):
    """The operations of the document, as schemathesis names them."""
    content = urllib.request.urlopen(document).read() if "://" in document else pathlib.Path(document).read_bytes()
    methods = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
    paths = json.loads(content)["paths"].items()
    return [f"{method.upper()} {path}" for path, item in paths for method in item if method in methods]


def call(schemathesis, work, url, document, seed, caller):
    """Has schemathesis send requests as one caller, and gives its report."""
    role = caller["role"]
    print(f"\n=== as {role}, seed {seed} ===", flush=True)
    report = work / f"{role}.json"
    report.unlink(missing_ok=True)
    command = [schemathesis, "--config-file", HERE / "schemathesis.toml", "run", document, "--url", url]
    command += ["--seed", str(seed), "--report-json-path", report]
    if "token" not in caller:
        # No token is none, and not a made-up one.
        command += ["--generation-with-security-parameters", "false"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("SCHEMATHESIS_")}
    told = {"API_CALLER": json.dumps(caller), "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py")}
    result = subprocess.run(command, env={**own, **told, "PYTHONDONTWRITEBYTECODE": "1"}, cwd=work, timeout=RUN_SECONDS_MAX)
    if not report.exists():
        sys.exit(f"schemathesis ended with {result.returncode} and no report")
    return json.loads(report.read_text())


def verdict(reports, operations, status, seed):
    """Prints what came of it, and gives the exit status."""
    total = 0
    accepted = set()
    reasons = [] if status == 0 else [f"the host ended with {status}"]
    print()
    for role, report in reports.items():
        cases = report["test_cases"]
        checked = cases["generated"] - cases["without_checks"] - cases["errored"]
        total += checked
        print(f"as {role}: {checked} generated cases, {cases['unique_failures']} failures")
        if report["exit_code"] != 0 or not report["complete"]:
            reasons.append(f"the run as {role} failed: see above")
        idle = [name for name in ("coverage", "fuzzing", "stateful") if report["phases"][name]["status"] == "skip"]
        if idle:
            reasons.append(f"as {role} nothing was tested in {', '.join(idle)}")
        for operation, phases in report["valid_rates"].items():
            if any(outcome["accepted"] for outcome in phases.values()):
                accepted.add(operation)
    refused = [operation for operation in operations if operation not in accepted]
    if refused:
        print(f"no valid request was accepted by {', '.join(refused)}")
    if len(refused) > REFUSED_MAX:
        reasons.append(f"there are more than {REFUSED_MAX} operations by which no valid request was accepted")
    if total < CASES_MIN:
        reasons.append(f"fewer than {CASES_MIN} cases")
    print(f"{total} generated cases in all; SEED={seed} takes this seed again")
    for reason in reasons:
        print(f"failed: {reason}", file=sys.stderr)
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
