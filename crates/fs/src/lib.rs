//! Root file systems for containers: overlay, host root, pivot_root, idmapped mounts, safe path resolution.
