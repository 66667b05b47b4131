//! Containers: their states, their streams and their files.

use super::{enums, messages};

messages! {
    Created { id, notes }
    ExitStatus { code, oom_killed, unknown, host_restarted }
    WindowSize { rows, columns }
    RemoveRequest { force, volumes }
    ListRequest { all }
    ContainerSummary {
        id, name, image, command, created, started, finished, status, exit, pid, ports, networks, volumes, health
    }
    ContainerStats {
        id, name, uptime_ns, cpu_ns, cpu_limit_milli, throttled_periods, memory, memory_with_cache,
        memory_limit, pids, pids_limit, oom_kills, block_read, block_written, net_received, net_sent
    }
    Process {
        pid, inner_pid, parent, uid, host_uid, state, name, arguments, cut, terminal, started, age_ns, cpu_ns, nice,
        threads, virtual_bytes, resident_bytes
    }
    ExecSpec { command, env, user, workdir, tty, interactive, detach, window }
    LogsRequest { tail, since, until, follow }
    LogEntry { time, source, data }
    FileStat { path, kind, mode, size, modified, target }
    CopyOut { path, follow, name }
    CopyIn { path, keep_owners }
    ContainerExport { compression }
    FileChange { kind, path }
}

enums! {
    ContainerStatus { Created, Running, Paused, Stopped, Restarting }
    HealthStatus { Starting, Healthy, Unhealthy }
    WaitCondition { NotRunning, NextExit, Running, Removed }
    LogSource { Stdout, Stderr }
    FileKind { File, Folder, Symlink, Other }
    ChangeKind { Added, Changed, Deleted }
}
