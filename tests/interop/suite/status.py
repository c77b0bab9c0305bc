"""What a contact is, and what SetStatus makes of it."""

from suite import *

NEVER_SEEN = {
    "account_id": "$acct",
    "contact_id": "c1",
    "status": "STATUS_ACTIVE",
    "reason": "REASON_NEVER_SET",
    "actor": "",
    "since": "$unset",
    "snoozed_until": "$unset",
    "fence": 0,
    "revision": 0,
    "locked": False,
    "bot_messages": 0,
    "missed_inbound": 0,
    "bot_id": "",
    "mode": "MODE_AUTO_PILOT",
    "last_seq": 0,
}


def invalid(text, change, **fields):
    return fails("INVALID_ARGUMENT", text, set_status(change, **fields))


def until_time(when):
    return {"status": "STATUS_SNOOZED", "snooze_until": when}


CASES = [
    case(
        "a contact never seen is active and not listed",
        check(
            {
                "decision": "DECISION_REPLY",
                "status": "STATUS_ACTIVE",
                "reason": "REASON_NEVER_SET",
                "fence": 0,
                "valid_until": "$unset",
                "messages_left": "$unset",
            }
        ),
        get(NEVER_SEEN),
        in_account("ListContacts", {"contacts": [], "next_page_token": ""}),
        history({"events": [], "next_page_token": ""}),
        in_account("GetStats", {"contacts": 0, "next_wake": "$unset"}),
    ),
    case(
        "a snoozed contact is silent until its end",
        set_status(
            {**snoozed(), "actor": "ann"},
            {
                "changed": True,
                "contact": {
                    "status": "STATUS_SNOOZED",
                    "reason": "REASON_SET",
                    "actor": "ann",
                    "since": "~now+0s",
                    "snoozed_until": "~now+2h",
                    "fence": 1,
                    "revision": 1,
                    "last_seq": ">0",
                },
            },
            save={"end": "contact.snoozed_until"},
        ),
        check(
            {
                "decision": "DECISION_SILENT",
                "status": "STATUS_SNOOZED",
                "reason": "REASON_SET",
                "fence": 1,
                "valid_until": "$end",
            }
        ),
        get({"snoozed_until": "$end", "since": "$set", "last_seq": ">0"}),
    ),
    case(
        "snooze_until is kept to the millisecond",
        let("end", "$now+3h"),
        set_status(until_time("$end"), {"contact": {"snoozed_until": "$end"}}),
        check({"valid_until": "$end"}),
    ),
    case(
        "an inactive contact is silent and no timer changes that",
        set_status(INACTIVE, {"changed": True, "contact": {"fence": 1, "locked": False}}),
        check(
            {
                "decision": "DECISION_SILENT",
                "status": "STATUS_INACTIVE",
                "valid_until": "$unset",
            }
        ),
        set_status(ACTIVE, {"changed": True, "contact": {"fence": 2, "revision": 2}}),
        check({"decision": "DECISION_REPLY", "reason": "REASON_SET", "fence": 2}),
    ),
    case(
        "the same status and end again is no change",
        let("end", "$now+2h"),
        set_status(until_time("$end"), {"changed": True, "contact": {"fence": 1}}),
        set_status(
            {**until_time("$end"), "actor": "bob"}, {"changed": False, "contact": {"fence": 1}}
        ),
        set_status(INACTIVE, {"changed": True, "contact": {"fence": 2}}),
        set_status(INACTIVE, {"changed": False, "contact": {"fence": 2}}),
        history({"events": [{"fence": 2}, {"fence": 1}]}),
    ),
    case(
        "another end is a change, shorter or longer",
        set_status(snoozed("7200s"), {"changed": True, "contact": {"fence": 1}}),
        set_status(
            snoozed("3600s"),
            {"changed": True, "contact": {"fence": 2, "snoozed_until": "~now+1h"}},
        ),
        set_status(snoozed("10800.5s"), {"changed": True, "contact": {"fence": 3}}),
    ),
    case(
        "a contact set to what it was never said to be is listed from then on",
        set_status(
            {**ACTIVE, "actor": "ann"},
            {
                "changed": False,
                "contact": {"fence": 0, "revision": 1, "reason": "REASON_SET", "actor": "ann"},
            },
        ),
        in_account("ListContacts", {"contacts": [{"contact_id": "c1"}]}),
        history({"events": []}),
    ),
    case(
        "a change carries its reason",
        *(
            set_status(
                {**INACTIVE, "reason": f"REASON_{reason}"},
                {"changed": True, "contact": {"reason": f"REASON_{reason}"}},
                contact=reason,
            )
            for reason in """SET BULK_SET MANUAL_MESSAGE WORKFLOW_MESSAGE MESSAGE_LIMIT
            INBOUND_MESSAGE CONVERSATION_READ STOP_KEYWORD HANDOVER_REQUESTED
            APPOINTMENT_BOOKED""".split()
        ),
    ),
    case(
        "the server's own reasons and unknown ones are refused",
        *(
            invalid("change.reason", {**INACTIVE, "reason": reason})
            for reason in ["REASON_NEVER_SET", "REASON_SNOOZE_EXPIRED", "REASON_MODE_OFF", 99]
        ),
        get(NEVER_SEEN),
    ),
    case(
        "a status must be one, and a change must be given",
        invalid("change.status", {}),
        invalid("change.status", {"status": 9}),
        fails(
            "INVALID_ARGUMENT", "change: is missing", in_account("SetStatus", contact_id="c1")
        ),
        get(NEVER_SEEN),
    ),
    case(
        "a snooze takes 1 s to 366 days",
        invalid("change.snooze_for", snoozed("0.999s")),
        invalid("change.snooze_for", snoozed("0s")),
        invalid("change.snooze_for", snoozed("-5s")),
        invalid("change.snooze_for", snoozed(f"{366 * 86400 + 1}s")),
        invalid("change.snooze_until", until_time("$now-1s")),
        invalid("change.snooze_until", until_time("1970-01-01T00:00:00Z")),
        invalid("change.snooze_until", until_time("$now+367d")),
        get(NEVER_SEEN),
        set_status(snoozed(f"{366 * 86400}s"), {"changed": True}),
        set_status(until_time("$now+365d"), {"changed": True}),
    ),
    case(
        "only a snooze takes a time, and it needs one",
        invalid("change.snooze_for", {"status": "STATUS_SNOOZED"}),
        invalid("change.snooze_for", {**ACTIVE, "snooze_for": "60s"}),
        invalid("change.snooze_until", {**INACTIVE, "snooze_until": "$now+2h"}),
        get(NEVER_SEEN),
    ),
    case(
        "a lock is opened by unlock alone",
        set_status({**INACTIVE, "lock": True}, {"contact": {"locked": True, "fence": 1}}),
        fails("FAILED_PRECONDITION", "locked", set_status(ACTIVE)),
        fails("FAILED_PRECONDITION", "unlock", set_status(snoozed())),
        activity("CONVERSATION_READ", {"changed": False, "contact": {"locked": True}}),
        activity("MANUAL_MESSAGE", {"changed": False}),
        activity("HANDOVER_REQUESTED", {"changed": False}),
        set_status(
            {**ACTIVE, "unlock": True},
            {"changed": True, "contact": {"locked": False, "fence": 2}},
        ),
        check({"decision": "DECISION_REPLY"}),
    ),
    case(
        "a lock goes with INACTIVE",
        invalid("change.lock", {**ACTIVE, "lock": True}),
        invalid("change.lock", {**snoozed(), "lock": True}),
    ),
    case(
        "what is inactive can be locked and unlocked without a change of status",
        set_status(INACTIVE, {"changed": True, "contact": {"fence": 1}}),
        set_status(
            {**INACTIVE, "lock": True}, {"changed": False, "contact": {"locked": True, "fence": 1}}
        ),
        set_status(
            {**INACTIVE, "unlock": True},
            {"changed": False, "contact": {"locked": False, "fence": 1, "revision": 3}},
        ),
    ),
    case(
        "if_revision guards a change",
        set_status(INACTIVE, {"contact": {"revision": 1}}, if_revision=0),
        fails("ABORTED", "if_revision", set_status(ACTIVE, if_revision=0)),
        fails("ABORTED", "revision 1, not 7", set_status(ACTIVE, if_revision=7)),
        set_status(ACTIVE, {"changed": True, "contact": {"revision": 2}}, if_revision=1),
    ),
    case(
        "the same request_id has the same answer and nothing is done twice",
        set_status(INACTIVE, {"changed": True, "contact": {"fence": 1}}, request_id="r1"),
        set_status(INACTIVE, {"changed": True, "contact": {"fence": 1}}, request_id="r1"),
        set_status(ACTIVE, {"changed": True, "contact": {"fence": 2}}, request_id="r2"),
        set_status(
            INACTIVE,
            {"changed": True, "contact": {"fence": 1, "status": "STATUS_INACTIVE"}},
            request_id="r1",
        ),
        check({"status": "STATUS_ACTIVE", "fence": 2}),
        history({"events": [{"fence": 2}, {"fence": 1}]}),
    ),
    case(
        "the newest 8 request ids of a contact are remembered",
        set_status(INACTIVE, {"contact": {"fence": 1}}, request_id="first"),
        *(
            set_status(
                INACTIVE if i % 2 else ACTIVE, {"contact": {"fence": i + 2}}, request_id=f"r{i}"
            )
            for i in range(7)
        ),
        set_status(INACTIVE, {"changed": True, "contact": {"fence": 1}}, request_id="first"),
        check({"status": "STATUS_ACTIVE", "fence": 8}),
        set_status(snoozed(), {"contact": {"fence": 9}}, request_id="ninth"),
        set_status(INACTIVE, {"contact": {"fence": 10}}, request_id="first"),
    ),
    case(
        "a deleted contact is never seen again until it is written",
        set_status(snoozed(), {"contact": {"fence": 1}}),
        delete({"existed": True}),
        get({**NEVER_SEEN, "fence": "$set"}),
        history({"events": []}),
        in_account("ListContacts", {"contacts": []}),
        delete({"existed": False}),
        commit(1, {"granted": False}),
        set_status(INACTIVE, {"changed": True, "contact": {"fence": ">1"}}),
        history({"events": [{"from": "STATUS_ACTIVE", "to": "STATUS_INACTIVE"}]}),
    ),
    case(
        "a contact can be handed to another bot and back",
        set_policy({"revision": 1}, bot_id="b1", mode="MODE_SUGGESTIVE"),
        set_status(
            {**ACTIVE, "bot_id": "b1"}, {"contact": {"bot_id": "b1", "mode": "MODE_SUGGESTIVE"}}
        ),
        check({"decision": "DECISION_SUGGEST"}, save={"fence": "fence"}),
        commit("$fence", {"granted": True, "decision": "DECISION_SUGGEST"}),
        set_status(ACTIVE, {"contact": {"bot_id": "b1"}}),
        set_status(
            {**ACTIVE, "bot_id": ""}, {"contact": {"bot_id": "", "mode": "MODE_AUTO_PILOT"}}
        ),
        check({"decision": "DECISION_REPLY"}),
    ),
]
