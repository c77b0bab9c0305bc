"""The table of cases: data only. A case is a name, what the client must be able to do,
and steps; each case works on an account of its own, "$acct". See match.py for what the
texts stand for. The contract is proto/dormouse/v1/dormouse.proto."""


def case(name, *steps, needs=()):
    return {"name": name, "needs": set(needs), "steps": list(steps)}


def call(method, request=None, expect=None, **more):
    """more: save={name: path}, code and text of the error that is expected, times,
    timeout_ms, raw (hex: the request's bytes)."""
    step = {"do": "call", "method": method, "request": request or {}, **more}
    return {**step, "expect": expect} if expect is not None else step


def fails(code, text, step):
    """The same call, and how it is refused."""
    step = {**step, "code": code, "text": text}
    step.pop("expect", None)
    return step


def until(step):
    """A read that is repeated until its answer is as expected."""
    return {**step, "do": "until"}


def let(name, value):
    return {"do": "let", "name": name, "value": value}


# ---- the methods about one contact -------------------------------------------------


def on_contact(method, expect, contact, fields, save):
    request = {"account_id": "$acct", "contact_id": contact, **fields}
    return call(method, request, expect, **({"save": save} if save else {}))


def check(expect=None, contact="c1", save=None):
    return on_contact("Check", expect, contact, {}, save)


def get(expect=None, contact="c1", save=None):
    return on_contact("GetContact", expect, contact, {}, save)


def commit(fence, expect=None, contact="c1", save=None, **fields):
    return on_contact("CommitReply", expect, contact, {"fence": fence, **fields}, save)


def activity(kind, expect=None, contact="c1", save=None, **fields):
    fields["activity"] = f"ACTIVITY_{kind}" if isinstance(kind, str) else kind
    return on_contact("RecordActivity", expect, contact, fields, save)


def set_status(change, expect=None, contact="c1", save=None, **fields):
    return on_contact("SetStatus", expect, contact, {"change": change, **fields}, save)


def delete(expect=None, contact="c1"):
    return on_contact("DeleteContact", expect, contact, {}, None)


def history(expect=None, contact="c1", save=None, **fields):
    return on_contact("GetHistory", expect, contact, fields, save)


ACTIVE = {"status": "STATUS_ACTIVE"}
INACTIVE = {"status": "STATUS_INACTIVE"}


def snoozed(duration="7200s"):
    return {"status": "STATUS_SNOOZED", "snooze_for": duration}


# ---- the others ----------------------------------------------------------------------


def set_policy(expect=None, if_revision=None, **policy):
    request = {"policy": {"account_id": "$acct", **policy}}
    if if_revision is not None:
        request["if_revision"] = if_revision
    return call("SetPolicy", request, expect)


def rule(on, action, **more):
    return {"on": f"ACTIVITY_{on}", "action": f"ACTION_{action}", **more}


def in_account(method, expect=None, save=None, **fields):
    step = call(method, {"account_id": "$acct", **fields}, expect)
    return {**step, "save": save} if save else step


# ---- streams -------------------------------------------------------------------------


def watch(stream="w", save=None, **fields):
    """Opens a Watch and reads the progress that it begins with: from then on nothing is
    missed. `save` names where it stands."""
    request = {"account_id": "$acct", **fields}
    return [
        {"do": "open", "stream": stream, "method": "Watch", "request": request},
        {"do": "progress", "stream": stream, "save": {save: "progress_seq"} if save else {}},
    ]


def event(expect, stream="w", save=None):
    """The next event of a Watch, whatever progress comes before it."""
    return {"do": "next", "stream": stream, "expect": {"event": expect}, "save": save or {}}


def cancel(stream="w"):
    return {"do": "cancel", "stream": stream}


def refused_stream(method, code, text, timeout_ms=0, **request):
    """A stream that ends with an error."""
    return [
        {
            "do": "open",
            "stream": method,
            "method": method,
            "request": {"account_id": "$acct", **request},
            "timeout_ms": timeout_ms,
        },
        {"do": "last", "stream": method, "code": code, "text": text},
    ]


def bulk(expect, code="OK", text="", **request):
    """A BulkSetStatus read to its end; `expect` is its last message."""
    request = {"account_id": "$acct", **request}
    end = {"do": "last", "stream": "bulk", "code": code, "text": text}
    if expect is not None:
        end["expect"] = expect
    return [
        {"do": "open", "stream": "bulk", "method": "BulkSetStatus", "request": request},
        end,
    ]
