/* Makes the pair of links: a port of the bridge, and eth0 in the network namespace of a process. 0, or -1. */
int make_link(const char *bridge, int pid);

/* In that namespace: lo and eth0 are switched on, eth0 has the address and the default route. 0, or -1. */
int set_up_link(const char *address, int length, const char *gateway);
