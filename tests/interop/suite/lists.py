"""ListContacts, the batches, GetHistory and GetStats."""

from suite import *

MANY = [f"c{i:03d}" for i in range(101)]


def batch_set(ids, change, expect=None, **fields):
    return in_account("BatchSetStatus", expect, contact_ids=ids, change=change, **fields)


def listed(*ids, **more):
    return {"contacts": [{"contact_id": one} for one in ids], **more}


CASES = [
    case(
        "contacts are listed by their id, all or by status",
        set_status(INACTIVE, contact="b"),
        set_status(snoozed(), contact="a"),
        set_status(ACTIVE, contact="c"),
        in_account(
            "ListContacts",
            {
                **listed("a", "b", "c", next_page_token=""),
            },
        ),
        in_account("ListContacts", listed("c"), status="STATUS_ACTIVE"),
        in_account("ListContacts", listed("a"), status="STATUS_SNOOZED"),
        in_account("ListContacts", listed("b"), status="STATUS_INACTIVE"),
        in_account(
            "GetStats",
            {"contacts": 3, "active": 1, "snoozed": 1, "inactive": 1, "next_wake": "~now+2h"},
        ),
    ),
    case(
        "pages follow one another",
        batch_set(["a", "b", "c", "d", "e"], INACTIVE),
        in_account(
            "ListContacts",
            listed("a", "b", next_page_token="$set"),
            page_size=2,
            save={"token": "next_page_token"},
        ),
        in_account(
            "ListContacts",
            listed("c", "d", next_page_token="$set"),
            page_size=2,
            page_token="$token",
            save={"last": "next_page_token"},
        ),
        in_account(
            "ListContacts", listed("e", next_page_token=""), page_size=2, page_token="$last"
        ),
        # what was written meanwhile and lies ahead is on its page
        set_status(INACTIVE, contact="bb"),
        in_account("ListContacts", listed("bb", "c", "d"), page_size=3, page_token="$token"),
    ),
    case(
        "the default page has 100 contacts",
        batch_set(MANY, INACTIVE),
        in_account("ListContacts", listed(*MANY[:100], next_page_token="$set")),
        in_account("ListContacts", listed(*MANY, next_page_token=""), page_size=1000),
    ),
    case(
        "page sizes and tokens are checked",
        batch_set(["a", "b"], INACTIVE),
        fails("INVALID_ARGUMENT", "page_size", in_account("ListContacts", page_size=1001)),
        fails("INVALID_ARGUMENT", "page_token", in_account("ListContacts", page_token="nonsense!")),
        in_account("ListContacts", page_size=1, save={"token": "next_page_token"}),
        fails(
            "INVALID_ARGUMENT",
            "page_token: does not belong to this query",
            in_account("ListContacts", status="STATUS_INACTIVE", page_token="$token"),
        ),
        fails("INVALID_ARGUMENT", "status: 9", in_account("ListContacts", status=9)),
        fails("INVALID_ARGUMENT", "order: 9", in_account("ListContacts", order=9)),
        fails(
            "INVALID_ARGUMENT",
            "order",
            in_account("ListContacts", order="LIST_ORDER_WAKE_TIME", status="STATUS_ACTIVE"),
        ),
        fails("INVALID_ARGUMENT", "page_size", history(page_size=1001)),
        fails("INVALID_ARGUMENT", "page_token", history(page_token="nonsense!")),
    ),
    case(
        "by wake time the soonest comes first",
        set_status(snoozed("10800s"), contact="a"),
        set_status(snoozed("3600s"), contact="c"),
        set_status(snoozed("7200s"), contact="b"),
        set_status(INACTIVE, contact="d"),
        in_account("ListContacts", listed("c", "b", "a"), order="LIST_ORDER_WAKE_TIME"),
        in_account(
            "ListContacts",
            listed("c", "b", next_page_token="$set"),
            order="LIST_ORDER_WAKE_TIME",
            page_size=2,
            save={"token": "next_page_token"},
        ),
        in_account(
            "ListContacts",
            listed("a", next_page_token=""),
            order="LIST_ORDER_WAKE_TIME",
            page_size=2,
            page_token="$token",
        ),
        in_account("GetStats", {"snoozed": 3, "next_wake": "~now+1h"}),
    ),
    case(
        "BatchGetContacts answers in the order of the request",
        set_status(INACTIVE, contact="b"),
        in_account(
            "BatchGetContacts",
            {
                "contacts": [
                    {"contact_id": "z", "revision": 0, "reason": "REASON_NEVER_SET"},
                    {"contact_id": "b", "status": "STATUS_INACTIVE"},
                    {"contact_id": "a"},
                    {"contact_id": "b", "status": "STATUS_INACTIVE"},
                ]
            },
            contact_ids=["z", "b", "a", "b"],
        ),
        in_account("BatchGetContacts", {"contacts": []}),
        in_account("ListContacts", listed("b")),
    ),
    case(
        "a batch has at most 1,000 contacts",
        fails(
            "INVALID_ARGUMENT",
            "contact_ids: has 1001 entries",
            in_account("BatchGetContacts", contact_ids=["c"] * 1001),
        ),
        fails(
            "INVALID_ARGUMENT",
            "contact_ids: has 1001 entries",
            batch_set(["c"] * 1001, INACTIVE),
        ),
        in_account("ListContacts", listed()),
        batch_set([f"c{i}" for i in range(1000)], INACTIVE),
        in_account("GetStats", {"contacts": 1000, "inactive": 1000}),
    ),
    case(
        "an id that is none fails the batch of a read",
        fails(
            "INVALID_ARGUMENT",
            "contact_ids[1]",
            in_account("BatchGetContacts", contact_ids=["a", "", "b"]),
        ),
        fails(
            "INVALID_ARGUMENT",
            "contact_ids[0]: has 65 bytes",
            in_account("BatchGetContacts", contact_ids=["x" * 65]),
        ),
    ),
    case(
        "BatchSetStatus answers for each contact",
        set_status({**INACTIVE, "lock": True}, contact="locked"),
        batch_set(
            ["a", "locked", "", "x" * 65, "b"],
            snoozed(),
            {
                "results": [
                    {"contact_id": "a", "code": 0, "contact": {"status": "STATUS_SNOOZED"}},
                    {
                        "contact_id": "locked",
                        "code": 9,
                        "message": "...locked...",
                        "contact": "$unset",
                    },
                    {"code": 3, "message": "...contact_ids[2]..."},
                    {"code": 3, "message": "...contact_ids[3]..."},
                    {"contact_id": "b", "code": 0, "contact": {"reason": "REASON_SET", "fence": 1}},
                ]
            },
        ),
        check({"status": "STATUS_SNOOZED"}, "b"),
        check({"status": "STATUS_INACTIVE"}, "locked"),
    ),
    case(
        "a batch is checked as a whole first",
        fails(
            "INVALID_ARGUMENT",
            "change: is missing",
            in_account("BatchSetStatus", contact_ids=["a"]),
        ),
        fails("INVALID_ARGUMENT", "change.status", batch_set(["a"], {})),
        fails("INVALID_ARGUMENT", "request_id", batch_set(["a"], INACTIVE, request_id="r" * 65)),
        in_account("ListContacts", listed()),
    ),
    case(
        "a batch under the same request_id is done once",
        batch_set(["a", "b"], INACTIVE, request_id="r1"),
        set_status(ACTIVE, contact="a"),
        batch_set(
            ["a", "b"],
            INACTIVE,
            {
                "results": [
                    {"contact": {"fence": 1, "status": "STATUS_INACTIVE"}},
                    {"contact": {"fence": 1}},
                ]
            },
            request_id="r1",
        ),
        check({"status": "STATUS_ACTIVE", "fence": 2}, "a"),
    ),
    case(
        "a batch of an account whose bot is off",
        set_policy(mode="MODE_OFF"),
        batch_set(
            ["a"],
            INACTIVE,
            {"results": [{"contact_id": "a", "code": 9, "message": "...off..."}]},
        ),
    ),
    case(
        "history is newest first and tells all of a change",
        set_status({**snoozed(), "actor": "ann"}, save={"end": "contact.snoozed_until"}),
        activity("STOP_KEYWORD", actor="the contact"),
        set_status({**ACTIVE, "unlock": True}, save={"seq": "contact.last_seq"}),
        history(
            {
                "events": [
                    {
                        "seq": "$seq",
                        "from": "STATUS_INACTIVE",
                        "to": "STATUS_ACTIVE",
                        "reason": "REASON_SET",
                        "fence": 3,
                        "due": "$unset",
                    },
                    {
                        "from": "STATUS_SNOOZED",
                        "to": "STATUS_INACTIVE",
                        "reason": "REASON_STOP_KEYWORD",
                        "actor": "the contact",
                        "fence": 2,
                    },
                    {
                        "account_id": "$acct",
                        "contact_id": "c1",
                        "at": "~now+0s",
                        "from": "STATUS_ACTIVE",
                        "to": "STATUS_SNOOZED",
                        "actor": "ann",
                        "fence": 1,
                        "snoozed_until": "$end",
                    },
                ],
                "next_page_token": "",
            }
        ),
    ),
    case(
        "history has pages, too",
        *(set_status(ACTIVE if i % 2 else INACTIVE) for i in range(5)),
        history(
            {"events": [{"fence": 5}, {"fence": 4}], "next_page_token": "$set"},
            page_size=2,
            save={"token": "next_page_token"},
        ),
        # what came meanwhile moves no page
        set_status(ACTIVE),
        history(
            {"events": [{"fence": 3}, {"fence": 2}], "next_page_token": "$set"},
            page_size=2,
            page_token="$token",
            save={"last": "next_page_token"},
        ),
        history(
            {"events": [{"fence": 1}], "next_page_token": ""}, page_size=2, page_token="$last"
        ),
        fails(
            "INVALID_ARGUMENT",
            "page_token",
            history(contact="another", page_token="$token"),
        ),
    ),
    case(
        "the whole server's numbers",
        set_status(snoozed()),
        call(
            "GetStats",
            {},
            {
                "contacts": ">0",
                "snoozed": ">0",
                "last_seq": ">0",
                "oldest_seq": ">0",
                "next_wake": "$set",
            },
        ),
    ),
]
