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
import signal
import subprocess
import sys
import urllib.request

sys.dont_write_bytecode = True

from environment import install  # noqa: E402
from shop import Shop  # noqa: E402

CASES_MIN = 3000

# Of so many operations chance may have had every valid request refused: some are accepted four times in a run. More show that something is
# wrong with the document, the shop or the hooks.
REFUSED_MAX = 3

# A run that needs longer than this has failed: a bound, not a measure.
RUN_SECONDS_MAX = 600

HERE = pathlib.Path(__file__).resolve().parent


def main():
    # Asked to end, it ends the host before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    target = pathlib.Path(sys.argv[1]).resolve()
    work = target / "api"
    schemathesis = install(work / "venv", HERE / "requirements.txt") / "schemathesis"
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
