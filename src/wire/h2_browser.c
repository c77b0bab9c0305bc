#include "wire/h2_browser.h"

void dm_h2_browser_reset(struct dm_h2_browser *browser)
{
    browser->https = false;
    browser->authority.count = browser->origin.count = browser->fetch_site.count = 0;
}

static void keep(struct dm_h2_browser_text *to, struct dm_slice value)
{
    bool fits = to->count == 0 && value.size <= sizeof to->text;
    to->count = fits ? 1 : 2;
    to->size = fits ? (uint8_t)value.size : 0;
    if (to->size != 0) {
        memcpy(to->text, value.data, to->size);
    }
}

void dm_h2_browser_note(struct dm_h2_browser *browser, struct dm_slice name, struct dm_slice value)
{
    switch (name.size) {
    case sizeof "origin" - 1:
        if (memcmp(name.data, "origin", name.size) == 0) {
            keep(&browser->origin, value);
        }
        return;
    case sizeof ":scheme" - 1:
        if (memcmp(name.data, ":scheme", name.size) == 0) {
            browser->https = dm_slice_equal(value, dm_slice_str("https"));
        }
        return;
    case sizeof ":authority" - 1:
        if (memcmp(name.data, ":authority", name.size) == 0) {
            keep(&browser->authority, value);
        }
        return;
    case sizeof "sec-fetch-site" - 1:
        if (memcmp(name.data, "sec-fetch-site", name.size) == 0) {
            keep(&browser->fetch_site, value);
        }
        return;
    default:
        return;
    }
}

static struct dm_slice kept(const struct dm_h2_browser_text *text)
{
    return text->count == 0 ? dm_slice(NULL, 0) : dm_slice(text->text, text->size);
}

int dm_h2_browser_judge(const struct dm_h2_browser *browser, enum dm_http_class class,
                        const struct dm_session_limits *limits)
{
    if (browser->origin.count == 0 && browser->fetch_site.count == 0) {
        return 0;
    }
    const struct dm_browser_head head = {
        .class = class,
        .scheme = browser->https ? "https" : "http",
        .authority = kept(&browser->authority),
        .origin = kept(&browser->origin),
        .fetch_site = kept(&browser->fetch_site),
        .twice = browser->origin.count > 1 || browser->fetch_site.count > 1,
    };
    return dm_browser_judge(&head, false, limits).status;
}
