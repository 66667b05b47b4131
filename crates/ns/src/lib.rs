//! Linux namespaces and process launch: clone3, id maps, capabilities, seccomp, limits, pidfd, pty.
