"""GetPolicy and SetPolicy."""

from suite import *

SNOOZE_2H = {"action": "ACTION_SNOOZE", "snooze_for": "7200s", "repeat": "REPEAT_EXTEND"}
NONE = {"action": "ACTION_NONE", "snooze_for": "$unset"}
DEFAULT_RULES = [
    {"on": "ACTIVITY_INBOUND_MESSAGE", **NONE},
    {"on": "ACTIVITY_MANUAL_MESSAGE", **SNOOZE_2H},
    {"on": "ACTIVITY_WORKFLOW_MESSAGE", **SNOOZE_2H},
    {"on": "ACTIVITY_CONVERSATION_READ", "action": "ACTION_ACTIVATE"},
    {"on": "ACTIVITY_STOP_KEYWORD", "action": "ACTION_DEACTIVATE", "lock": True},
    {"on": "ACTIVITY_HANDOVER_REQUESTED", "action": "ACTION_DEACTIVATE", "lock": False},
    {"on": "ACTIVITY_APPOINTMENT_BOOKED", **NONE},
]
DEFAULT = {
    "account_id": "$acct",
    "bot_id": "",
    "mode": "MODE_AUTO_PILOT",
    "rules": DEFAULT_RULES,
    "message_limit": 0,
    "on_limit": {"action": "ACTION_SNOOZE", "snooze_for": "86400s"},
    "max_snooze": "$unset",
    "revision": 0,
}


def invalid(text, **policy):
    return fails("INVALID_ARGUMENT", text, set_policy(**policy))


CASES = [
    case("a policy never set is the default, filled in", in_account("GetPolicy", DEFAULT)),
    case(
        "SetPolicy replaces the whole policy and shows it filled in",
        set_policy(
            {"mode": "MODE_SUGGESTIVE", "message_limit": 3, "max_snooze": "3600s", "revision": 1},
            mode="MODE_SUGGESTIVE",
            message_limit=3,
            max_snooze="3600s",
        ),
        in_account("GetPolicy", {"mode": "MODE_SUGGESTIVE", "rules": DEFAULT_RULES, "revision": 1}),
        set_policy(
            {
                "mode": "MODE_AUTO_PILOT",
                "message_limit": 0,
                "max_snooze": "$unset",
                "rules": [
                    {"on": "ACTIVITY_INBOUND_MESSAGE"},
                    {"on": "ACTIVITY_MANUAL_MESSAGE", **NONE},
                    *DEFAULT_RULES[2:],
                ],
                "revision": 2,
            },
            rules=[rule("MANUAL_MESSAGE", "NONE")],
        ),
    ),
    case(
        "what GetPolicy shows can be set",
        in_account("GetPolicy", save={"rules": "rules", "on_limit": "on_limit"}),
        set_policy(
            {**DEFAULT, "revision": 1}, rules="$rules", on_limit="$on_limit", mode="MODE_AUTO_PILOT"
        ),
    ),
    case(
        "if_revision guards a policy",
        set_policy({"revision": 1}, if_revision=0),
        fails("ABORTED", "if_revision", set_policy(if_revision=0)),
        set_policy({"revision": 2}, if_revision=1),
    ),
    case(
        "each bot has a policy of its own",
        set_policy({"bot_id": "b1", "revision": 1}, bot_id="b1", mode="MODE_OFF"),
        in_account("GetPolicy", {"bot_id": "b1", "mode": "MODE_OFF"}, bot_id="b1"),
        in_account("GetPolicy", {"bot_id": "", "mode": "MODE_AUTO_PILOT", "revision": 0}),
        check({"decision": "DECISION_REPLY"}),
    ),
    case(
        "a rule must make sense",
        invalid("policy.mode", mode=9),
        invalid("policy.rules[0].on", rules=[{"action": "ACTION_NONE"}]),
        invalid("policy.rules[0].on", rules=[{"on": 42, "action": "ACTION_NONE"}]),
        invalid(
            "policy.rules[1].on",
            rules=[rule("MANUAL_MESSAGE", "NONE"), rule("MANUAL_MESSAGE", "NONE")],
        ),
        invalid("policy.rules[0].on", rules=[rule("BOT_MESSAGE", "DEACTIVATE")]),
        invalid("policy.rules[0].action", rules=[{"on": "ACTIVITY_MANUAL_MESSAGE"}]),
        invalid("policy.rules[0].action", rules=[{"on": "ACTIVITY_MANUAL_MESSAGE", "action": 9}]),
        invalid("policy.rules[0].repeat", rules=[rule("MANUAL_MESSAGE", "NONE", repeat=9)]),
        invalid("policy.rules[0].snooze_for", rules=[rule("MANUAL_MESSAGE", "SNOOZE")]),
        invalid(
            "policy.rules[0].snooze_for",
            rules=[rule("MANUAL_MESSAGE", "SNOOZE", snooze_for="0.5s")],
        ),
        invalid(
            "policy.rules[0].snooze_for", rules=[rule("MANUAL_MESSAGE", "NONE", snooze_for="60s")]
        ),
        invalid("policy.rules[0].lock", rules=[rule("MANUAL_MESSAGE", "NONE", lock=True)]),
        in_account("GetPolicy", DEFAULT),
    ),
    case(
        "so must the limit and the cap",
        invalid("policy.on_limit.action", on_limit={"action": "ACTION_ACTIVATE"}),
        invalid("policy.on_limit.snooze_for", on_limit={"action": "ACTION_SNOOZE"}),
        invalid("policy.max_snooze", max_snooze="0.5s"),
        invalid("policy.max_snooze", max_snooze="-5s"),
        fails("INVALID_ARGUMENT", "policy: is missing", call("SetPolicy")),
        in_account("GetPolicy", DEFAULT),
    ),
]
