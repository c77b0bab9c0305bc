#ifndef DM_SERVER_WEB_NAMES_H
#define DM_SERVER_WEB_NAMES_H

/* Are these what a browser would send? A name that never matches is a mistake that nobody would
 * see: the page just stays without answers. NULL: fine; else what is wrong, to follow the name
 * (static text). */

/* Of --cors-origin: "https://app.example", "http://localhost:3000", or "*". */
const char *dm_origin_fault(const char *origin);
/* Of --host: "dormouse.example". */
const char *dm_host_fault(const char *host);

#endif
