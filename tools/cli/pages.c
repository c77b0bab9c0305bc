#include "cli/pages.h"

#include "base/buf.h"

enum { PAGE_SIZE = 1000 };

static uint32_t page_size(uint64_t most, uint64_t seen)
{
    return most == 0 || most - seen > PAGE_SIZE ? PAGE_SIZE : (uint32_t)(most - seen);
}

int dm_list_contacts(struct dm_cli *cli, const struct dm_listing *listing)
{
    if (!dm_cli_connect(cli)) {
        return cli->connect_code;
    }
    struct dormouse_list request = DORMOUSE(list, .account_id = cli->account,
                                            .status = listing->status, .order = listing->order);
    struct dm_out token = {.colour = false}; /* a copy: the answer ends with the next call */
    uint64_t seen = 0;
    int code = DM_EXIT_OK;
    bool more = true;
    while (more) {
        const struct dormouse_list_answer *answer;
        struct dormouse_result result;
        request.page_size = page_size(listing->most, seen);
        if (dormouse_list_contacts_wait(cli->client, &request, cli->timeout_ms, &result, &answer) !=
            DORMOUSE_OK) {
            code = dm_cli_failed(dormouse_text(""), result.code, result.message);
            break;
        }
        seen += answer->contacts_count;
        dm_buf_reset(&token.buf, SIZE_MAX);
        dm_out_bytes(&token, answer->next_page_token.data, answer->next_page_token.size);
        struct dm_slice next = dm_buf_slice(&token.buf);
        request.page_token = (struct dormouse_text){.data = next.data, .size = next.size};
        more = listing->page(listing->context, answer->contacts, answer->contacts_count) &&
               next.size > 0 && (listing->most == 0 || seen < listing->most);
    }
    dm_out_finish(&token);
    return code;
}
