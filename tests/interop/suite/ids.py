"""Ids: what is none, in every method that takes one."""

from suite import *

LONG = "x" * 65
LIMIT = "x" * 64
ODD = 'Łódź/東京 🐭 %2F"\\'

BY_CONTACT = {
    "Check": {},
    "CommitReply": {},
    "RecordActivity": {"activity": "ACTIVITY_INBOUND_MESSAGE"},
    "GetContact": {},
    "SetStatus": {"change": INACTIVE},
    "DeleteContact": {},
    "GetHistory": {},
}
BY_ACCOUNT = {
    **BY_CONTACT,
    "BatchGetContacts": {},
    "ListContacts": {},
    "BatchSetStatus": {"change": INACTIVE},
    "GetPolicy": {},
}


def refused(method, text, **request):
    return fails("INVALID_ARGUMENT", text, call(method, request))


CASES = [
    case(
        "an account id is needed",
        *(
            refused(method, "account_id: is missing", contact_id="c1", **fields)
            if method in BY_CONTACT
            else refused(method, "account_id: is missing", **fields)
            for method, fields in BY_ACCOUNT.items()
        ),
        fails("INVALID_ARGUMENT", "policy.account_id", call("SetPolicy", {"policy": {}})),
    ),
    case(
        "a contact id is needed and has at most 64 bytes",
        *(
            step
            for method, fields in BY_CONTACT.items()
            for step in (
                refused(method, "contact_id: is missing", account_id="$acct", **fields),
                refused(
                    method,
                    "contact_id: has 65 bytes",
                    account_id="$acct",
                    contact_id=LONG,
                    **fields,
                ),
            )
        ),
        check({"status": "STATUS_ACTIVE"}, contact=LIMIT),
    ),
    case(
        "an account id has at most 64 bytes",
        refused("Check", "account_id: has 65 bytes", account_id=LONG, contact_id="c1"),
        refused("GetStats", "account_id: has 65 bytes", account_id=LONG),
        refused("GetPolicy", "account_id: has 65 bytes", account_id=LONG),
        fails(
            "INVALID_ARGUMENT",
            "policy.account_id: has 65 bytes",
            call("SetPolicy", {"policy": {"account_id": LONG}}),
        ),
    ),
    case(
        "bytes count, not letters",
        check({"fence": 0}, contact="é" * 32),
        fails("INVALID_ARGUMENT", "contact_id: has 66 bytes", check(contact="é" * 33)),
        set_status(INACTIVE, {"contact": {"contact_id": ODD}}, ODD),
        get({"status": "STATUS_INACTIVE"}, ODD),
    ),
    case(
        "control characters are refused",
        *(
            fails("INVALID_ARGUMENT", "contact_id: has a control character", check(contact=bad))
            for bad in ["a\nb", "\u0000", "\u007f", "a\u0085"]
        ),
        fails(
            "INVALID_ARGUMENT",
            "change.actor: has a control character",
            set_status({**INACTIVE, "actor": "a\tb"}),
        ),
    ),
    case(
        "actor, request_id and bot_id have at most 64 bytes",
        fails("INVALID_ARGUMENT", "request_id: has 65", set_status(INACTIVE, request_id=LONG)),
        fails("INVALID_ARGUMENT", "request_id: has 65", commit(0, request_id=LONG)),
        fails("INVALID_ARGUMENT", "request_id: has 65", activity("BOT_MESSAGE", request_id=LONG)),
        fails("INVALID_ARGUMENT", "actor: has 65 bytes", activity("BOT_MESSAGE", actor=LONG)),
        fails("INVALID_ARGUMENT", "change.actor: has 65", set_status({**INACTIVE, "actor": LONG})),
        fails("INVALID_ARGUMENT", "change.bot_id: has 65", set_status({**ACTIVE, "bot_id": LONG})),
        fails("INVALID_ARGUMENT", "bot_id: has 65", in_account("GetPolicy", bot_id=LONG)),
        fails("INVALID_ARGUMENT", "policy.bot_id: has 65", set_policy(bot_id=LONG)),
        get({"revision": 0}),
        set_status(
            {**INACTIVE, "actor": LIMIT, "bot_id": LIMIT},
            {"contact": {"actor": LIMIT, "bot_id": LIMIT}},
            request_id=LIMIT,
        ),
    ),
    case(
        "what is not UTF-8 or no message is refused",
        # account_id "a", contact_id ff
        fails("INVALID_ARGUMENT", "contact_id: is not valid", call("Check", raw="0a01611201ff")),
        fails("INVALID_ARGUMENT", "dormouse.v1.CheckRequest", call("Check", raw="0a7f61")),
        fails("INVALID_ARGUMENT", "dormouse.v1.SetStatusRequest", call("SetStatus", raw="ffff")),
        # unknown fields are ignored: field 15, varint 1
        call("Check", {}, {"decision": "DECISION_REPLY"}, raw="0a0161120162" + "7801"),
        needs={"raw"},
    ),
]
