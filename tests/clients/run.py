#!/usr/bin/env python3
"""Tests that clients can be generated from the OpenAPI documents: generates, builds, and calls with each.

    run.py TARGET_DIR [LANGUAGE...]      with what `make build` built; all languages if none is named

Starts a shop of its own, checks its documents against the schemas of OpenAPI, has openapi-generator make a client in each language of its /openapi.json, and progenitor one of its
/openapi-3.0.json, builds it together with a program of calls/, and runs that: it logs in, lists products, and keeps an address, which the
shop must have afterwards. A language without its toolchain here is generated and said to be skipped.

Fails where a client is not generated, does not build, or does not do what it was asked for.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import urllib.request
import venv

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "api"))
sys.dont_write_bytecode = True

from environment import install  # noqa: E402
from shop import Shop  # noqa: E402

# A step that needs longer than this has failed: a bound, not a measure. The first build of a Rust client compiles its HTTP client.
STEP_SECONDS_MAX = 1800

# Debian's, for Java and Go; no registry of theirs is asked for anything.
JAKARTA_ANNOTATIONS = pathlib.Path("/usr/share/java/jakarta-annotation-api.jar")
GO_VALIDATOR = pathlib.Path("/usr/share/gocode/src/gopkg.in/validator.v2")


class Skipped(Exception):
    """There is no toolchain for the language: it says which one."""


class Failed(Exception):
    """A step failed: it says which one, and with what."""


def main():
    # Asked to end, it ends the host before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    target = pathlib.Path(sys.argv[1]).resolve()
    names = sys.argv[2:] or list(LANGUAGES)
    work = target / "clients"
    tools = Tools(work)
    # All that follows stays on this machine, also where a proxy is set.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    shop = Shop(target, work)
    try:
        customer = next(caller for caller in shop.furnish() if caller["role"] == "customer")
        for version in ("", "-3.0"):
            document = urllib.request.urlopen(f"{shop.url}/openapi{version}.json").read()
            (work / f"openapi{version}.json").write_bytes(document)
        invalid = tools.validate()
        results = [(name, *attempt(name, tools, shop, customer)) for name in names]
    finally:
        status = shop.stop()
    return verdict(results, invalid, status)


class Tools:
    """The generator, and the places of what is generated and built."""

    def __init__(self, work):
        self.work = work
        self.document = work / "openapi.json"
        self.document_3_0 = work / "openapi-3.0.json"
        self.bin = install(work / "venv", HERE / "requirements.txt")
        found = next((work / "venv").glob("lib/*/site-packages/openapi_generator_cli/*.jar"), None)
        self.jar = found or sys.exit("openapi-generator-cli comes without its jar")

    def validate(self):
        """What is wrong with the documents."""
        try:
            run("validate", [self.bin / "openapi-spec-validator", self.document, self.document_3_0])
        except Failed as failed:
            return [str(failed)]
        return []

    def generate(self, generator, folder, *options):
        """Has openapi-generator make a client in an empty folder."""
        shutil.rmtree(folder, ignore_errors=True)
        command = [need("java"), "-jar", self.jar, "generate", "--input-spec", self.document, "--generator-name", generator]
        # Without the tests and pages that nothing here looks at.
        command += ["--output", folder, "--global-property", "apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"]
        run("generate", [*command, *options])


def need(program, package=None):
    """The path of a program."""
    return shutil.which(program) or skip(f"there is no {program}: install {package or program}")


def skip(why):
    raise Skipped(why)


def run(step, command, **options):
    """Runs a command to its end, and gives what it printed."""
    environment = {**os.environ, **options.pop("environment", {})}
    result = subprocess.run(
        command, env=environment, timeout=STEP_SECONDS_MAX, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
    )
    if result.returncode != 0:
        program = pathlib.Path(command[0]).name
        raise Failed(f"{step}: {program} ended with {result.returncode}\n{result.stdout[-6000:]}")
    return result.stdout


def rust(tools, call):
    folder = tools.work / "rust"
    tools.generate("rust", folder / "client", "--additional-properties", "packageName=shop-client")
    cargo(tools, folder, "rust.rs", [], call)


def progenitor(tools, call):
    folder = tools.work / "progenitor"
    home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    program = home / "bin/cargo-progenitor"
    if not program.exists():
        skip("there is no cargo-progenitor: install it with `cargo install --locked cargo-progenitor`")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    version = json.loads(tools.document_3_0.read_text())["info"]["version"]
    command = [program, "progenitor", "--input", tools.document_3_0, "--output", folder / "client"]
    run("generate", [*command, "--name", "shop-client", "--version", version])
    cargo(tools, folder, "progenitor.rs", ["reqwest", "serde_json"], call)


def cargo(tools, folder, program, dependencies, call):
    """Builds a Rust client with a program, in a workspace of their own. It calls over loopback: no TLS need be compiled."""
    cargo = need("cargo", "rustup")
    source = folder / "call/src"
    source.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(HERE / "calls" / program, source / "main.rs")
    (folder / "Cargo.toml").write_text('[workspace]\nmembers = ["call", "client"]\nresolver = "3"\n')
    known = {"reqwest": '{ version = "0.13", default-features = false }', "serde_json": '"1"'}
    lines = [f"{name} = {known[name]}\n" for name in dependencies]
    (folder / "call/Cargo.toml").write_text(
        '[package]\nname = "call"\nversion = "0.0.0"\nedition = "2024"\n\n[dependencies]\n'
        'shop-client = { path = "../client", default-features = false }\n'
        'tokio = { version = "1", features = ["macros", "rt"] }\n' + "".join(lines)
    )
    target = tools.work / "rust-target"
    run("build", [cargo, "build", "--package", "call"], cwd=folder, environment={"CARGO_TARGET_DIR": str(target)})
    call([target / "debug/call"])


def go(tools, call):
    folder = tools.work / "go"
    # Two enums may have one word, and constants are the package's: without the prefix they would have one name.
    options = "enumClassPrefix=true,packageName=shop,withGoMod=true"
    tools.generate("go", folder / "client", "--additional-properties", options)
    if not GO_VALIDATOR.is_dir():
        skip("there is no validator.v2: install golang-gopkg-validator.v2-dev")
    source = folder / "client"
    # Only the module: what is generated beside it are tests.
    shutil.rmtree(source / "test", ignore_errors=True)
    validator = folder / "validator"
    shutil.copytree(GO_VALIDATOR, validator, ignore=shutil.ignore_patterns("*_test.go"))
    (validator / "go.mod").write_text("module gopkg.in/validator.v2\n")
    program = source / "call"
    program.mkdir()
    shutil.copyfile(HERE / "calls/call.go", program / "main.go")
    environment = {
        "GOCACHE": str(tools.work / "go-cache"),
        "GOFLAGS": "-mod=mod",
        "GOPATH": str(tools.work / "go-path"),
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
    }
    go = tools.bin / "go"
    edit = [go, "mod", "edit", "-module", "example.org/shop", "-replace", "gopkg.in/validator.v2=../validator"]
    run("build", edit, cwd=source, environment=environment)
    run("build", [go, "vet", "./..."], cwd=source, environment=environment)
    run("build", [go, "build", "-o", folder / "call", "./call"], cwd=source, environment=environment)
    call([folder / "call"])


def typescript(tools, call):
    folder = tools.work / "typescript"
    tools.generate("typescript-fetch", folder / "client", "--additional-properties", "npmName=shop-client")
    npm = [need("npm"), "--no-audit", "--no-fund", "--loglevel", "error"]
    run("build", [*npm, "install"], cwd=folder / "client")
    # As from a registry: npm looks at the version when it packs and installs.
    packed = run("build", [*npm, "pack", "--pack-destination", folder], cwd=folder / "client").split()[-1]
    program = folder / "call"
    program.mkdir()
    (program / "package.json").write_text('{"name": "call", "private": true, "version": "0.0.0"}')
    run("build", [*npm, "install", folder / packed], cwd=program)
    shutil.copyfile(HERE / "calls/call.ts", program / "call.ts")
    compiler = folder / "client/node_modules/.bin/tsc"
    options = ["--strict", "--target", "es2020", "--module", "commonjs", "--moduleResolution", "node", "--lib", "es2020,dom"]
    run("build", [compiler, *options, "call.ts"], cwd=program)
    call([need("node", "nodejs"), program / "call.js"])


def python(tools, call):
    folder = tools.work / "python"
    tools.generate("python", folder / "client", "--additional-properties", "packageName=shop_client")
    venv.create(folder / "venv", with_pip=True)
    program = folder / "venv/bin/python"
    run("build", [program, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", folder / "client"])
    call([program, HERE / "calls/call.py"])


def java(tools, call):
    folder = tools.work / "java"
    # Jackson's additions for null are in no package of Debian. The rest of Jackson is in the generator's own jar.
    options = "library=native,openApiNullable=false,useJakartaEe=true"
    tools.generate("java", folder / "client", "--additional-properties", options)
    if not JAKARTA_ANNOTATIONS.exists():
        skip("there are no jakarta annotations: install libjakarta-annotation-api-java")
    compiler = need("javac", "default-jdk-headless")
    libraries = f"{tools.jar}:{JAKARTA_ANNOTATIONS}"
    sources = sorted((folder / "client/src/main/java").rglob("*.java"))
    classes = folder / "classes"
    run("build", [compiler, "-nowarn", "-cp", libraries, "-d", classes, *sources, HERE / "calls/Call.java"])
    call([need("java"), "-cp", f"{classes}:{libraries}", "Call"])


def csharp(tools, call):
    tools.generate("csharp", tools.work / "csharp/client")
    skip("generated only: neither Debian nor PyPI nor npm has a .NET SDK")


LANGUAGES = {
    "rust": rust,
    "progenitor": progenitor,
    "go": go,
    "typescript": typescript,
    "python": python,
    "java": java,
    "csharp": csharp,
}


def attempt(name, tools, shop, customer):
    """Generates, builds and calls in one language; gives what came of it, and why."""
    print(f"=== {name} ===", flush=True)
    called = []

    def call(command):
        environment = {"SHOP_EMAIL": customer["email"], "SHOP_PASSWORD": customer["password"]}
        said = run("call", [*command, shop.url], environment=environment)
        called.append(check(said, shop, customer))

    try:
        LANGUAGES[name](tools, call)
    except Skipped as skipped:
        return "skipped", str(skipped)
    except (Failed, subprocess.TimeoutExpired) as failed:
        print(failed, file=sys.stderr, flush=True)
        return "failed", str(failed).splitlines()[0]
    return "works", called[0]


def check(said, shop, customer):
    """Holds what a program printed, the last line of it, against what the shop has."""
    words = said.splitlines()[-1].split() if said.strip() else []
    if len(words) != 4 or words[0] != "2":
        raise Failed(f"call: it printed {said!r}, and not the number of products, and an address with its city and country")
    _, address, city, country = words
    kept = shop.send(f"/users/{customer['user_id']}/addresses/{address}", None, customer["token"])
    if (kept["city"], kept["country"]) != (city, country):
        raise Failed(f"call: it said {city} in {country}, and the shop has {kept['city']} in {kept['country']}")
    return f"listed 2 products, and kept an address in {city}"


def verdict(results, invalid, status):
    """Prints what came of it, and gives the exit status."""
    print()
    for name, outcome, why in results:
        print(f"{name:12}{outcome:9}{why}")
    for reason in invalid:
        print(f"failed: {reason}", file=sys.stderr)
    if status != 0:
        print(f"failed: the host ended with {status}", file=sys.stderr)
    count = {outcome: sum(found == outcome for _, found, _ in results) for outcome in ("works", "failed", "skipped")}
    print(f"\nclients: {count['works']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or invalid or status != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
