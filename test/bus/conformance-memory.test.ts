import * as EventBus from "effect-skald/bus/EventBus"
import * as BusConformance from "effect-skald/testing/BusConformance"

BusConformance.suite("memory", {
  layer: EventBus.layerMemory,
  capabilities: ["delay", "priority", "history"],
  exact: true,
  // whole in test/soak/busBacklog.soak.ts
  backlog: 20_000
})
