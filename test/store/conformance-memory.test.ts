import { driverMemory, layerMemory } from "effect-skald/store/EventStore"
import * as EventStoreConformance from "effect-skald/testing/EventStoreConformance"

EventStoreConformance.suite("memory", { layer: layerMemory, driver: driverMemory })
