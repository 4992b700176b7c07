/* The version of tidegate, as `tidegate --version` and tg.version say it. */
#ifndef TG_SCRIPT_VERSION_H
#define TG_SCRIPT_VERSION_H

#define TG_VERSION "0.1.0"

#endif
