"""RecordActivity: what the policy's rules do, and what they never do."""

from suite import *

HOUR = "3600s"


def rules(*given, **policy):
    return set_policy({"rules": "$set"}, rules=list(given), **policy)


CASES = [
    case(
        "the default policy's rules",
        activity(
            "MANUAL_MESSAGE",
            {
                "changed": True,
                "decision": "DECISION_SILENT",
                "contact": {
                    "status": "STATUS_SNOOZED",
                    "reason": "REASON_MANUAL_MESSAGE",
                    "snoozed_until": "~now+2h",
                    "actor": "ann",
                },
            },
            "manual",
            actor="ann",
        ),
        activity(
            "WORKFLOW_MESSAGE",
            {
                "changed": True,
                "contact": {"reason": "REASON_WORKFLOW_MESSAGE", "snoozed_until": "~now+2h"},
            },
            "workflow",
        ),
        activity(
            "STOP_KEYWORD",
            {
                "changed": True,
                "contact": {
                    "status": "STATUS_INACTIVE",
                    "reason": "REASON_STOP_KEYWORD",
                    "locked": True,
                },
            },
            "stop",
        ),
        activity(
            "HANDOVER_REQUESTED",
            {
                "changed": True,
                "contact": {
                    "status": "STATUS_INACTIVE",
                    "reason": "REASON_HANDOVER_REQUESTED",
                    "locked": False,
                },
            },
            "handover",
        ),
        *(
            activity(
                kind,
                {"changed": False, "decision": "DECISION_REPLY", "contact": {"fence": 0}},
                contact=kind,
            )
            for kind in """INBOUND_MESSAGE BOT_MESSAGE CONVERSATION_READ
            APPOINTMENT_BOOKED""".split()
        ),
    ),
    case(
        "an activity must be one",
        fails("INVALID_ARGUMENT", "activity: 0", activity("UNSPECIFIED")),
        fails("INVALID_ARGUMENT", "activity: 99", activity(99)),
    ),
    case(
        "EXTEND takes the later end and never shortens",
        set_status(snoozed("14400s"), save={"end": "contact.snoozed_until"}),
        activity("MANUAL_MESSAGE", {"changed": False, "contact": {"snoozed_until": "$end"}}),
        set_status(snoozed(HOUR)),
        activity(
            "MANUAL_MESSAGE",
            {
                "changed": True,
                "contact": {
                    "snoozed_until": "~now+2h",
                    "reason": "REASON_MANUAL_MESSAGE",
                    "fence": 3,
                },
            },
        ),
    ),
    case(
        "KEEP leaves the running snooze as it is",
        rules(rule("MANUAL_MESSAGE", "SNOOZE", snooze_for="14400s", repeat="REPEAT_KEEP")),
        set_status(snoozed(HOUR), save={"end": "contact.snoozed_until"}),
        activity("MANUAL_MESSAGE", {"changed": False, "contact": {"snoozed_until": "$end"}}),
    ),
    case(
        "REPLACE sets the new end, even if sooner",
        rules(rule("MANUAL_MESSAGE", "SNOOZE", snooze_for=HOUR, repeat="REPEAT_REPLACE")),
        set_status(snoozed("14400s")),
        activity("MANUAL_MESSAGE", {"changed": True, "contact": {"snoozed_until": "~now+1h"}}),
    ),
    case(
        "max_snooze caps what automatic snoozes add up to",
        rules(rule("MANUAL_MESSAGE", "SNOOZE", snooze_for="14400s"), max_snooze=HOUR),
        activity("MANUAL_MESSAGE", {"changed": True, "contact": {"snoozed_until": "~now+1h"}}),
        activity("MANUAL_MESSAGE", {"changed": False, "contact": {"snoozed_until": "~now+1h"}}),
        set_status(snoozed("14400s"), {"contact": {"snoozed_until": "~now+4h"}}, "set by hand"),
    ),
    case(
        "automatic triggers never touch INACTIVE",
        rules(
            rule("INBOUND_MESSAGE", "ACTIVATE", repeat="REPEAT_REPLACE"),
            rule("APPOINTMENT_BOOKED", "ACTIVATE"),
        ),
        set_status({**INACTIVE, "actor": "ann"}),
        *(
            activity(
                kind,
                {
                    "changed": False,
                    "decision": "DECISION_SILENT",
                    "contact": {"status": "STATUS_INACTIVE", "actor": "ann", "fence": 1},
                },
            )
            for kind in """INBOUND_MESSAGE APPOINTMENT_BOOKED CONVERSATION_READ MANUAL_MESSAGE
            WORKFLOW_MESSAGE HANDOVER_REQUESTED""".split()
        ),
    ),
    case(
        "ACTIVATE ends a running snooze only with REPLACE",
        rules(
            rule("INBOUND_MESSAGE", "ACTIVATE", repeat="REPEAT_REPLACE"),
            rule("APPOINTMENT_BOOKED", "ACTIVATE"),
        ),
        set_status(snoozed()),
        activity("APPOINTMENT_BOOKED", {"changed": False}),
        activity(
            "INBOUND_MESSAGE",
            {"changed": True, "contact": {"reason": "REASON_INBOUND_MESSAGE", "fence": 2}},
        ),
    ),
    case(
        "only a conversation read ends what the limit had set",
        rules(
            rule("INBOUND_MESSAGE", "ACTIVATE", repeat="REPEAT_REPLACE"),
            message_limit=1,
        ),
        activity("BOT_MESSAGE", {"contact": {"reason": "REASON_MESSAGE_LIMIT"}}),
        activity("INBOUND_MESSAGE", {"changed": False}),
        activity("CONVERSATION_READ", {"changed": True, "contact": {"status": "STATUS_ACTIVE"}}),
    ),
    case(
        "a conversation read does not end a snooze that somebody set",
        set_status(snoozed()),
        activity("CONVERSATION_READ", {"changed": False, "contact": {"status": "STATUS_SNOOZED"}}),
    ),
    case(
        "an opt-out locks what is inactive already",
        set_status(INACTIVE),
        activity("STOP_KEYWORD", {"changed": False, "contact": {"locked": True, "fence": 1}}),
        fails("FAILED_PRECONDITION", "locked", set_status(ACTIVE)),
    ),
    case(
        "an opt-out ends a snooze for good",
        set_status(snoozed()),
        activity(
            "STOP_KEYWORD",
            {
                "changed": True,
                "contact": {
                    "status": "STATUS_INACTIVE",
                    "locked": True,
                    "snoozed_until": "$unset",
                },
            },
        ),
    ),
    case(
        "a rule replaces the default one, NONE turns it off",
        rules(
            rule("MANUAL_MESSAGE", "NONE"),
            rule("APPOINTMENT_BOOKED", "SNOOZE", snooze_for=HOUR),
            rule("WORKFLOW_MESSAGE", "DEACTIVATE"),
        ),
        activity("MANUAL_MESSAGE", {"changed": False}),
        activity(
            "APPOINTMENT_BOOKED",
            {
                "changed": True,
                "contact": {"reason": "REASON_APPOINTMENT_BOOKED", "snoozed_until": "~now+1h"},
            },
        ),
        activity(
            "WORKFLOW_MESSAGE",
            {"changed": True, "contact": {"status": "STATUS_INACTIVE", "locked": False}},
        ),
    ),
    case(
        "inbound messages are counted while the bot is silent",
        activity("INBOUND_MESSAGE", {"contact": {"missed_inbound": 0}}),
        set_status(snoozed()),
        activity("INBOUND_MESSAGE", {"changed": False, "contact": {"missed_inbound": 1}}),
        activity("INBOUND_MESSAGE", {"contact": {"missed_inbound": 2, "fence": 1}}),
        set_status(ACTIVE, {"contact": {"missed_inbound": 0}}),
    ),
    case(
        "an activity under the same request_id is counted once",
        activity("BOT_MESSAGE", {"contact": {"bot_messages": 1}}, request_id="r1"),
        activity("BOT_MESSAGE", {"contact": {"bot_messages": 1}}, request_id="r1"),
        activity("BOT_MESSAGE", {"contact": {"bot_messages": 2}}, request_id="r2"),
        activity("MANUAL_MESSAGE", {"changed": True}, request_id="r3"),
        set_status(ACTIVE),
        activity("MANUAL_MESSAGE", {"changed": True}, request_id="r3"),
        check({"status": "STATUS_ACTIVE"}),
    ),
    case(
        "a message grows the revision and takes no seq",
        activity("BOT_MESSAGE", {"contact": {"revision": 1, "fence": 0, "last_seq": 0}}),
        history({"events": []}),
    ),
    case(
        "MODE_OFF: all is silent, SetStatus is refused, counting goes on",
        set_status(snoozed()),
        set_policy(mode="MODE_OFF"),
        check({"decision": "DECISION_SILENT", "reason": "REASON_MODE_OFF"}),
        check({"decision": "DECISION_SILENT", "reason": "REASON_MODE_OFF"}, "never seen"),
        get({"status": "STATUS_SNOOZED", "mode": "MODE_OFF"}),
        fails("FAILED_PRECONDITION", "the bot of this account is off", set_status(ACTIVE)),
        commit(1, {"granted": False, "decision": "DECISION_SILENT"}),
        activity("INBOUND_MESSAGE", {"changed": False, "contact": {"missed_inbound": 1}}),
        activity("STOP_KEYWORD", {"changed": False, "decision": "DECISION_SILENT"}),
        activity("BOT_MESSAGE", {"changed": False, "contact": {"bot_messages": 1}}),
        set_policy(mode="MODE_AUTO_PILOT"),
        set_status(ACTIVE, {"changed": True}),
    ),
]
