"""A host with a shop of its own, for tests that send it requests."""

import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
import urllib.request

# A host that needs longer than this to start or to end has failed: a bound, not a measure.
HOST_SECONDS_MAX = 60

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Shop:
    """A host with a shop of its own, in a folder that is recreated."""

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
