/* The floor's network: one end of a pair of links is a port of a bridge that is there, the other one is the container's
 * eth0, with an address and a default route. As few messages as the kernel allows. */
#define _GNU_SOURCE
#include "floor_net.h"
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct { struct nlmsghdr header; char rest[1024]; } message;

static void begin(int type, int flags, const void *body, size_t length) {
    memset(&message, 0, sizeof message);
    message.header.nlmsg_type = type;
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    memcpy(NLMSG_DATA(&message.header), body, length);
    message.header.nlmsg_len = NLMSG_LENGTH(NLMSG_ALIGN(length));
}

static struct rtattr *add(int type, const void *value, size_t length) {
    struct rtattr *attribute = (void *)((char *)&message + NLMSG_ALIGN(message.header.nlmsg_len));
    attribute->rta_type = type;
    attribute->rta_len = RTA_LENGTH(length);
    if (length > 0)
        memcpy(RTA_DATA(attribute), value, length);
    message.header.nlmsg_len = NLMSG_ALIGN(message.header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
    return attribute;
}

static void end(struct rtattr *nest) {
    nest->rta_len = (char *)&message + message.header.nlmsg_len - (char *)nest;
}

static int tell(int socket) {
    char answer[4096];
    if (send(socket, &message, message.header.nlmsg_len, 0) < 0 || recv(socket, answer, sizeof answer, 0) < 0)
        return -1;
    struct nlmsgerr *error = NLMSG_DATA((struct nlmsghdr *)answer);
    if (error->error == 0)
        return 0;
    fprintf(stderr, "floor: netlink: %s\n", strerror(-error->error));
    return -1;
}

int make_link(const char *bridge, int pid) {
    int socket_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    uint32_t master = if_nametoindex(bridge), owner = pid;
    char name[IFNAMSIZ];
    snprintf(name, sizeof name, "fl%d", pid);
    struct ifinfomsg up = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, none = {0};
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &up, sizeof up);
    add(IFLA_IFNAME, name, strlen(name) + 1);
    add(IFLA_MASTER, &master, sizeof master);
    struct rtattr *info = add(IFLA_LINKINFO, NULL, 0);
    add(IFLA_INFO_KIND, "veth", 4);
    struct rtattr *data = add(IFLA_INFO_DATA, NULL, 0);
    struct rtattr *peer = add(VETH_INFO_PEER, &none, sizeof none);
    add(IFLA_IFNAME, "eth0", 5);
    add(IFLA_NET_NS_PID, &owner, sizeof owner);
    end(peer);
    end(data);
    end(info);
    int result = tell(socket_);
    close(socket_);
    return result;
}

int set_up_link(const char *address, int length, const char *gateway) {
    int socket_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    uint32_t own, way;
    inet_pton(AF_INET, address, &own);
    inet_pton(AF_INET, gateway, &way);
    struct ifinfomsg up = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    begin(RTM_NEWLINK, 0, &up, sizeof up);
    int result = tell(socket_);
    up.ifi_index = if_nametoindex("eth0");
    struct ifaddrmsg place = {.ifa_family = AF_INET, .ifa_prefixlen = length, .ifa_index = up.ifi_index};
    begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &place, sizeof place);
    add(IFA_LOCAL, &own, sizeof own);
    add(IFA_ADDRESS, &own, sizeof own);
    result |= tell(socket_);
    begin(RTM_NEWLINK, 0, &up, sizeof up);
    result |= tell(socket_);
    struct rtmsg route = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
                          .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
    begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
    add(RTA_GATEWAY, &way, sizeof way);
    result |= tell(socket_);
    close(socket_);
    return result;
}
