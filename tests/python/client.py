"""A client in another language: it knows the daemon by what protoc made of the contract, and by nothing else.

usage: client.py STUBS SOCKET IMAGE

Runs a container over the daemon's socket, asks for one that is not there, and prints what came back as JSON.
"""

import json
import sys
import threading
import time

sys.path.insert(0, sys.argv[1])

import grpc
from tinyd.v1 import common_pb2, containers_pb2, containers_pb2_grpc, errors_pb2, spec_pb2

SCRIPT = "read word; echo to $word; echo oops >&2; exit 7"


def inputs(container):
    """Starts it, and gives it a line."""
    start = containers_pb2.StartRequest(container=container)
    yield containers_pb2.SessionInput(start=start)
    yield containers_pb2.SessionInput(stdin=b"you\n")
    yield containers_pb2.SessionInput(stdin_closed=common_pb2.Empty())


def session(containers, container):
    """What its command says, each stream by itself, and how it ends."""
    streams, kinds, code = {"stdout": b"", "stderr": b""}, [], None
    for output in containers.Session(inputs(container)):
        kinds.append(output.WhichOneof("message"))
        if kinds[-1] in streams:
            streams[kinds[-1]] += getattr(output, kinds[-1])
        elif kinds[-1] == "exited":
            code = output.exited.code
    text = {name: data.decode() for name, data in streams.items()}
    return {"first": kinds[0], "last": kinds[-1], "code": code, **text}


def logged(containers, container):
    """The same by the log, which is a stream too."""
    streams = {}
    for piece in containers.Logs(containers_pb2.ContainerLogsRequest(container=container)):
        name = containers_pb2.LogSource.Name(piece.entry.source)
        streams[name] = streams.get(name, "") + piece.entry.data.decode()
    return streams


def watched(containers, image):
    """The figures of a container, one after the other, until it is killed."""
    none = spec_pb2.NetworkMode(none=common_pb2.Empty())
    spec = spec_pb2.ContainerSpec(image=image, command=["sh", "-c", "while :; do :; done"], network=none)
    id = containers.Run(containers_pb2.RunRequest(spec=spec)).id
    times = []
    for stats in containers.WatchStats(containers_pb2.WatchStatsRequest(container=id[:8], interval_ms=100)):
        times.append((stats.uptime_ns, stats.cpu_ns))
        if len(times) == 3:
            containers.Kill(containers_pb2.KillRequest(container=id, signal=9))
    containers.Remove(containers_pb2.RemoveContainerRequest(container=id, request=containers_pb2.RemoveRequest(force=True)))
    return times


def stuffed(containers, image, everything):
    """Whether all else is answered while several commands are sent far more than they read, in messages that are too long."""
    none = spec_pb2.NetworkMode(none=common_pb2.Empty())
    spec = spec_pb2.ContainerSpec(image=image, command=["sleep", "1000"], interactive=True, network=none)
    ids = [containers.Create(containers_pb2.CreateRequest(spec=spec)).id for _ in range(3)]
    done = threading.Event()

    def too_much(container):
        yield containers_pb2.SessionInput(start=containers_pb2.StartRequest(container=container))
        yield containers_pb2.SessionInput(stdin=bytes(3 << 20))
        done.wait()

    sessions = [containers.Session(too_much(container)) for container in ids]
    for one in sessions:
        next(one)
    # It has been sent by now, and as much of it taken as there was room for.
    time.sleep(1)
    listed = containers.List(everything, timeout=10).containers
    done.set()
    for one, container in zip(sessions, ids):
        one.cancel()
        force = containers_pb2.RemoveRequest(force=True)
        containers.Remove(containers_pb2.RemoveContainerRequest(container=container, request=force), timeout=30)
    return len(listed)


def refusal(containers, container):
    """Why a call fails: the status of gRPC, and the failure in its details."""
    try:
        containers.Inspect(containers_pb2.ContainerRequest(container=container))
    except grpc.RpcError as error:
        details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        status = errors_pb2.Status.FromString(details)
        failure = errors_pb2.Failure()
        status.details[0].Unpack(failure)
        kind = errors_pb2.FailureKind.Name(failure.kind)
        return {"status": error.code().name, "kind": kind, "message": failure.message}
    return None


def main():
    _, _, socket, image = sys.argv
    # By itself, gRPC's core calls the server by the socket's path, which is no name of a host: the server ends such a call.
    options = [("grpc.default_authority", "localhost")]
    with grpc.insecure_channel(f"unix:{socket}", options=options) as channel:
        containers = containers_pb2_grpc.ContainersStub(channel)
        spec = spec_pb2.ContainerSpec(
            image=image,
            name="from-python",
            command=["sh", "-c", SCRIPT],
            interactive=True,
            network=spec_pb2.NetworkMode(none=common_pb2.Empty()),
        )
        created = containers.Create(containers_pb2.CreateRequest(spec=spec))
        seen = {"id": created.id, "session": session(containers, created.id)}
        state = containers.Inspect(containers_pb2.ContainerRequest(container="from-python")).state
        seen["state"] = [state.status, state.exit_code]
        seen["log"] = logged(containers, created.id)
        everything = containers_pb2.ListRequest(all=True)
        seen["listed"] = [one.id for one in containers.List(everything).containers]
        containers.Remove(containers_pb2.RemoveContainerRequest(container=created.id))
        seen["left"] = [one.id for one in containers.List(everything).containers]
        seen["watched"] = watched(containers, image)
        seen["stuffed"] = stuffed(containers, image, everything)
        seen["refused"] = refusal(containers, created.id)
        print(json.dumps(seen))


main()
