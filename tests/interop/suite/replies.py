"""Check, CommitReply, and the message limit."""

from suite import *

GRANTED = {"granted": True, "decision": "DECISION_REPLY"}
REFUSED = {"granted": False, "decision": "DECISION_SILENT"}
LIMITED = {"status": "STATUS_SNOOZED", "reason": "REASON_MESSAGE_LIMIT"}

CASES = [
    case(
        "a reply is granted on the fence of its Check and counted",
        check({"decision": "DECISION_REPLY"}, save={"fence": "fence"}),
        commit("$fence", {**GRANTED, "contact": {"bot_messages": 1, "fence": "$fence"}}),
        commit("$fence", {**GRANTED, "contact": {"bot_messages": 2, "revision": 2}}),
        history({"events": []}),
    ),
    case(
        "the bot never talks over a human who took over",
        check(save={"fence": "fence"}),
        activity("MANUAL_MESSAGE", {"changed": True}),
        commit("$fence", {**REFUSED, "contact": {"status": "STATUS_SNOOZED", "bot_messages": 0}}),
        set_status(ACTIVE, {"changed": True}),
        commit("$fence", REFUSED),
        check({"decision": "DECISION_REPLY"}, save={"fence": "fence"}),
        commit("$fence-1", REFUSED),
        commit("$fence+1", REFUSED),
        commit("$fence", GRANTED),
    ),
    case(
        "a silent contact grants nothing, whatever the fence",
        set_status(INACTIVE, save={"fence": "contact.fence"}),
        commit("$fence", REFUSED),
        set_status(snoozed(), save={"fence": "contact.fence"}),
        commit("$fence", {**REFUSED, "contact": {"bot_messages": 0}}),
    ),
    case(
        "a reply under the same request_id is counted once",
        commit(0, {**GRANTED, "contact": {"bot_messages": 1}}, request_id="r1"),
        set_status(INACTIVE),
        commit(0, {**GRANTED, "contact": {"bot_messages": 1}}, request_id="r1"),
        commit(0, REFUSED, request_id="r2"),
        set_status(ACTIVE, save={"fence": "contact.fence"}),
        commit("$fence", REFUSED, request_id="r2"),
        commit("$fence", {**GRANTED, "contact": {"bot_messages": 1}}, request_id="r3"),
    ),
    case(
        "the message that reaches the limit is granted, then the bot is silent",
        set_policy({"message_limit": 2}, message_limit=2),
        check({"messages_left": 2}),
        commit(0, {**GRANTED, "contact": {"status": "STATUS_ACTIVE"}}),
        check({"decision": "DECISION_REPLY", "messages_left": 1}),
        commit(
            0,
            {
                **GRANTED,
                "contact": {**LIMITED, "bot_messages": 2, "fence": 1, "snoozed_until": "~now+24h"},
            },
        ),
        check(
            {"decision": "DECISION_SILENT", "reason": "REASON_MESSAGE_LIMIT", "messages_left": 0}
        ),
        commit(1, REFUSED),
        activity("INBOUND_MESSAGE", {"changed": False, "contact": {"missed_inbound": 1}}),
        activity(
            "CONVERSATION_READ",
            {
                "changed": True,
                "decision": "DECISION_REPLY",
                "contact": {"reason": "REASON_CONVERSATION_READ", "bot_messages": 0, "fence": 2},
            },
        ),
        check({"messages_left": 2}),
    ),
    case(
        "a bot message without a CommitReply counts, too",
        set_policy(message_limit=1),
        activity(
            "BOT_MESSAGE",
            {"changed": True, "decision": "DECISION_SILENT", "contact": {**LIMITED, "fence": 1}},
        ),
        activity("BOT_MESSAGE", {"changed": False, "contact": {"bot_messages": 2, "fence": 1}}),
    ),
    case(
        "on_limit can deactivate; a conversation that was read ends that",
        set_policy(message_limit=1, on_limit={"action": "ACTION_DEACTIVATE"}),
        commit(
            0,
            {
                **GRANTED,
                "contact": {"status": "STATUS_INACTIVE", "reason": "REASON_MESSAGE_LIMIT"},
            },
        ),
        activity("MANUAL_MESSAGE", {"changed": False, "contact": {"status": "STATUS_INACTIVE"}}),
        activity("CONVERSATION_READ", {"changed": True, "contact": {"status": "STATUS_ACTIVE"}}),
    ),
    case(
        "what the limit had set and somebody opted out of stays",
        set_policy(message_limit=1, on_limit={"action": "ACTION_DEACTIVATE"}),
        commit(0, {**GRANTED, "contact": {"status": "STATUS_INACTIVE", "locked": False}}),
        activity("STOP_KEYWORD", {"changed": False, "contact": {"locked": True}}),
        activity("CONVERSATION_READ", {"changed": False, "contact": {"status": "STATUS_INACTIVE"}}),
        set_policy(message_limit=1, on_limit={"action": "ACTION_DEACTIVATE", "lock": True}),
        activity("BOT_MESSAGE", {"changed": True, "contact": {"locked": True}}, "c2"),
        activity("CONVERSATION_READ", {"changed": False, "contact": {"locked": True}}, "c2"),
    ),
    case(
        "with on_limit NONE the count alone silences",
        set_policy(message_limit=1, on_limit={"action": "ACTION_NONE"}),
        commit(0, {**GRANTED, "contact": {"status": "STATUS_ACTIVE"}}),
        check(
            {
                "decision": "DECISION_SILENT",
                "status": "STATUS_ACTIVE",
                "reason": "REASON_MESSAGE_LIMIT",
                "messages_left": 0,
            }
        ),
        commit(0, REFUSED),
        activity("CONVERSATION_READ", {"changed": False, "decision": "DECISION_REPLY"}),
        check({"messages_left": 1}),
    ),
    case(
        "a new limit applies at once",
        *(commit(0, {**GRANTED, "contact": {"bot_messages": i + 1}}) for i in range(3)),
        set_policy(message_limit=2),
        check({"decision": "DECISION_SILENT", "reason": "REASON_MESSAGE_LIMIT"}),
        set_policy(message_limit=5),
        check({"decision": "DECISION_REPLY", "messages_left": 2}),
        set_policy(),
        check({"decision": "DECISION_REPLY", "messages_left": "$unset"}),
    ),
    case(
        "every change to ACTIVE resets the counter",
        commit(0, {"contact": {"bot_messages": 1}}),
        set_status(INACTIVE, {"contact": {"bot_messages": 1}}),
        set_status(ACTIVE, {"contact": {"bot_messages": 0}}),
        activity("BOT_MESSAGE", {"contact": {"bot_messages": 1}}),
        activity("CONVERSATION_READ", {"changed": False, "contact": {"bot_messages": 0}}),
    ),
    case(
        "the suggestive mode suggests",
        set_policy(mode="MODE_SUGGESTIVE"),
        check({"decision": "DECISION_SUGGEST"}),
        commit(0, {"granted": True, "decision": "DECISION_SUGGEST"}),
        set_status(INACTIVE),
        check({"decision": "DECISION_SILENT"}),
    ),
]
