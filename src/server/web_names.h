#ifndef DM_SERVER_WEB_NAMES_H
#define DM_SERVER_WEB_NAMES_H

/* Are these what a browser would send? A name that can never match is a mistake that nobody
 * would see: the page just stays without answers. */

/* Of --cors-origin: "https://app.example", "http://localhost:3000", or "*". NULL: fine; else
 * what would match instead (static text, to be followed by "is wanted"). */
const char *dm_origin_wants(const char *origin);

/* Of --host: "dormouse.example". */
const char *dm_host_wants(const char *host);

#endif
