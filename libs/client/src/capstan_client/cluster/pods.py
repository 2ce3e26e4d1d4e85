"""The pods of a release, as `capstan status` shows them."""

from __future__ import annotations

from capstan_client.cluster.kubectl import Kubectl, Target


async def pods(target: Target) -> list[dict[str, str]]:
    """Pods of a release: name, part, readiness, restarts and what they wait for."""
    summaries = []
    for item in await Kubectl(target).objects("pods"):
        labels, status = item["metadata"].get("labels", {}), item.get("status", {})
        containers = status.get("containerStatuses", [])
        waiting = [
            container["state"]["waiting"].get("reason", "")
            for container in containers
            if "waiting" in container.get("state", {})
        ]
        summaries.append(
            {
                "pod": item["metadata"]["name"],
                "part": labels.get("app.kubernetes.io/component", ""),
                "loop": labels.get("capstan.dev/loop", ""),
                "ready": f"{sum(container['ready'] for container in containers)}/{len(item['spec']['containers'])}",
                "phase": ", ".join(filter(None, waiting)) or status.get("phase", ""),
                "restarts": str(sum(container["restartCount"] for container in containers)),
            }
        )
    return sorted(summaries, key=lambda pod: (pod["part"], pod["pod"]))
