"""What the shop's document can't say: who calls, and which values only the shop can give.

A request that schemathesis means to be valid gets such values here, so that most of them come past the checks of their form. One that it
means to be invalid stays as it is. run.py tells in API_CALLER who calls.
"""

import json
import os
import re
import uuid

import schemathesis
from hypothesis import strategies

# Of each: `role`, `products`, the ids of some that are there, `orders`, some with how they stand, and `position`, one that the shop gave. Of
# those who have a token: `token` and `user_id`. Of a customer: `email` and `password`. Of an admin: `customer_id`, somebody to order for.
caller = json.loads(os.environ["API_CALLER"])

# A format of the document that is its own.
schemathesis.openapi.format("entity-tag", strategies.from_regex(r'\A"[!#-~]{0,20}"\Z'))

if "token" in caller:

    # A 401 is an answer to be checked, and no reason to send the token again.
    @schemathesis.auth(retry_on=[])
    class Token:
        """Sends the caller's token, except where schemathesis tests what happens without it."""

        def get(self, case, context):
            return caller["token"]

        def set(self, case, data, context):
            case.headers["Authorization"] = f"Bearer {data}"


class Seen:
    """What the answers told."""

    def __init__(self):
        # By path: the entity tag of what is there.
        self.etags = {}
        # By the path of a list: the query and the cursor of each page that another follows.
        self.pages = {}
        # The paths of what is there, in the order in which it was seen.
        self.paths = {}
        # The orders, by id, with their status.
        self.orders = dict(caller["orders"])

    def remember(self, case, response):
        content = response.json()
        if "etag" in response.headers:
            self.etags[case.formatted_path] = response.headers["etag"][0]
        if content.get("next_cursor") is not None:
            self.pages.setdefault(case.formatted_path, []).append((dict(case.query), content["next_cursor"]))
        self.paths[response.headers.get("location", [case.formatted_path])[0]] = True
        for item in [content, *content.get("items", [])]:
            if "order_number" in item:
                self.orders[item["id"]] = item["status"]

    def forget(self, deleted):
        for path in [path for path in self.paths if f"{path}/".startswith(f"{deleted}/")]:
            del self.paths[path]

    def take(self, template):
        """The parameters of something with such a path that may be deleted, each once; none where nothing was seen."""
        pattern = re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", template))
        matches = filter(None, map(pattern.fullmatch, self.paths))
        whole = ("/users/{id}", "/products/{id}")
        match = next((match for match in matches if template not in whole or match["id"] not in kept), None)
        if match is not None:
            del self.paths[match[0]]
            return match.groupdict()

    def order(self, statuses):
        """An order that had one of these statuses, each once: it has another after what is to be done with it."""
        found = next((id for id, status in self.orders.items() if status in statuses), None)
        self.orders.pop(found, None)
        return found


seen = Seen()

# What is not deleted: see `before_call`.
kept = {caller.get("user_id"), caller.get("customer_id"), *caller["products"]}

# The states of an order that a request is about. One that is pending is paid a moment later, if it is an admin's: see `complete`.
states = {"/orders/{id}/payment": ["reserved"], "/orders/{id}/ship": ["paid", "pending"], "/orders/{id}/deliver": ["shipped"]}


@schemathesis.hook
def after_call(context, case, response):
    """Remembers what the shop gives."""
    if response.status_code in (200, 201) and response.headers.get("content-type") == ["application/json"]:
        seen.remember(case, response)
    elif (case.method, response.status_code) == ("DELETE", 204):
        seen.forget(case.formatted_path)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives a request what no schema can describe."""
    if case.meta is not None and case.meta.generation.mode.is_positive:
        name_what_is_there(case)
        send_known_headers(case)
        send_known_query(case)
        if isinstance(case.body, dict):
            complete(f"{case.method} {case.path}", case.body)
    # This holds for every request. The tokens of a user that is deleted end, and each request after that would be answered 401; without the
    # customer and the products that run.py made nothing could be ordered any more.
    if case.method == "DELETE" and case.path in ("/users/{id}", "/products/{id}") and case.path_parameters.get("id") in kept:
        case.path_parameters["id"] = str(uuid.uuid4())


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """A customer may register another, and can't see them: the one thing that is not there for the one who has just created it."""
    registered = getattr(failure, "created_with", None) == "POST /users"
    return not (registered and caller["role"] == "customer")


def name_what_is_there(case):
    """Most ids that are drawn are of nothing, or not in the state that the request is about."""
    # To a customer every other user is 404.
    if case.path.startswith("/users/{id}") and caller["role"] == "customer":
        case.path_parameters["id"] = caller["user_id"]
    # Where links are followed, they give the ids.
    if case.meta.phase.name.value == "stateful":
        return
    if case.method == "DELETE":
        case.path_parameters = seen.take(case.path) or case.path_parameters
    if case.method == "POST" and case.path in states:
        order = seen.order(states[case.path])
        if order is not None:
            case.path_parameters["id"] = order


def send_known_headers(case):
    """A made-up entity tag or position names nothing, and generated keys are alike, though each request needs its own."""
    etag = seen.etags.get(case.formatted_path)
    values = {
        "If-Match": etag or "*",
        "If-None-Match": etag,
        "Bulkhead-After": caller["position"],
        "Idempotency-Key": str(uuid.uuid4()),
    }
    for name, value in values.items():
        if name in case.headers and value is not None:
            case.headers[name] = value


def send_known_query(case):
    """A cursor is good for the list and the filters that it was given for. The last day of a report is not before the first."""
    if "cursor" in case.query:
        pages = seen.pages.get(case.formatted_path)
        query, cursor = pages.pop() if pages else (case.query, None)
        case.query = {name: value for name, value in query.items() if name != "cursor"}
        if cursor is not None:
            case.query["cursor"] = cursor
    if "from" in case.query and "to" in case.query:
        case.query["from"], case.query["to"] = sorted([case.query["from"], case.query["to"]])


def complete(operation, body):
    """Brings a body to what is there, and to rules over more than one field."""
    if operation == "POST /orders":
        # Each product once. Who orders, and when, is for an admin to say; a total other than the expected one is refused.
        body["items"] = [{**item, "product_id": id} for item, id in zip(body["items"], caller["products"])]
        for field in ("user_id", "ordered_at", "expected_total"):
            body.pop(field, None)
        if "customer_id" in caller:
            body["user_id"] = caller["customer_id"]
            body["payment"]["token"] = "tok_ok"
    elif operation == "PATCH /products/{id}" and body.get("price") is not None:
        # At most 99.99: then no order of so many products costs more than an order may.
        body["price"] = re.sub(r"^[0-9]*?([0-9]{1,2})(?![0-9])", r"\1", body["price"], count=1)
    elif operation == "POST /categories":
        # Without a slug the name gives one, if it has a letter or a digit to make it from.
        if body.get("slug") is None and not re.search("[A-Za-z0-9]", body["name"]):
            body["slug"] = f"c-{uuid.uuid4()}"
    elif operation == "POST /sessions" and "password" in caller:
        body["email"], body["password"] = caller["email"], caller["password"]
    elif operation == "PUT /users/{id}/password" and "password" in caller:
        body["current_password"] = body["new_password"] = caller["password"]
