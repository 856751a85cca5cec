/**
 * The core of Skald, each module as a namespace. Drivers, composed layers and the testing kit are imported by their subpaths.
 *
 * @since 0.1.0
 */

/**
 * Recorded events as CloudEvents 1.0 in JSON, and back: one event (`application/cloudevents+json`) or a batch of them (`application/cloudevents-batch+json`).
 *
 * @since 0.1.0
 * @category event
 */
export * as CloudEvents from "./event/CloudEvents.ts"

/**
 * What the fiber carries for the events it will record: which conversation they belong to, what caused them, who for.
 *
 * @since 0.1.0
 * @category event
 */
export * as Correlation from "./event/Correlation.ts"

/**
 * An event with everything that is known about it beside its payload: before it is recorded, and after.
 *
 * @since 0.1.0
 * @category event
 */
export * as Envelope from "./event/Envelope.ts"

/**
 * Event types: a Schema of a tagged struct, a schema version, and the upcasters that bring older versions up to it.
 *
 * @since 0.1.0
 * @category event
 */
export * as Event from "./event/Event.ts"

/**
 * Between events and what is stored of them: encodes, decodes and upcasts the event types of a group.
 *
 * @since 0.1.0
 * @category event
 */
export * as EventCodec from "./event/EventCodec.ts"

/**
 * Where the ids of events come from, when the appender gives none.
 *
 * @since 0.1.0
 * @category event
 */
export * as EventId from "./event/EventId.ts"

/**
 * What is said of a value from outside that cannot be used: every fault at once, each with its path.
 *
 * @since 0.1.0
 * @category event
 */
export * as InvalidInput from "./event/InvalidInput.ts"

/**
 * The pure algebra beneath the house: a machine is an initial state and a step `(state, input) → (state, outputs)`.
 *
 * @since 0.1.0
 * @category event
 */
export * as Machine from "./event/Machine.ts"

/**
 * Machines that only rearrange wires: the isomorphisms up to which `tensor` and `either` are associative, have a unit, and are symmetric.
 *
 * @since 0.1.0
 * @category event
 */
export * as MachineWiring from "./event/MachineWiring.ts"

/**
 * How an encoded payload becomes text or bytes.
 *
 * @since 0.1.0
 * @category event
 */
export * as PayloadFormat from "./event/PayloadFormat.ts"

/**
 * Where an event stands: its version in its stream, its position in the whole log, and what an appender expects.
 *
 * @since 0.1.0
 * @category event
 */
export * as Position from "./event/Position.ts"

/**
 * The name of a stream: `category-id`, the category being what stands before the first `-`.
 *
 * @since 0.1.0
 * @category event
 */
export * as StreamId from "./event/StreamId.ts"

/**
 * Stops calling what keeps failing, and tries it again after a while.
 *
 * @since 0.1.0
 * @category resilience
 */
export * as CircuitBreaker from "./resilience/CircuitBreaker.ts"

/**
 * The circuit breakers of an application by name.
 *
 * @since 0.1.0
 * @category resilience
 */
export * as CircuitBreakers from "./resilience/CircuitBreakers.ts"

/**
 * Runs an effect once for a key, and answers every later call with the result of that run.
 *
 * @since 0.1.0
 * @category resilience
 */
export * as Idempotency from "./resilience/Idempotency.ts"

/**
 * Whether an error is worth another try: marked on its Schema, or by its tag.
 *
 * @since 0.1.0
 * @category resilience
 */
export * as Retryability from "./resilience/Retryability.ts"

/**
 * Retry policies that have a name.
 *
 * @since 0.1.0
 * @category resilience
 */
export * as RetryPolicy from "./resilience/RetryPolicy.ts"

/**
 * Where a Schedule stands, as data: stored, and resumed in another process.
 *
 * @since 0.1.0
 * @category resilience
 */
export * as SchedulePosition from "./resilience/SchedulePosition.ts"

/**
 * How an append is refused.
 *
 * @since 0.1.0
 * @category store
 */
export * as AppendError from "./store/AppendError.ts"

/**
 * Old events moved out of the log into verified batches, to be read or restored again.
 *
 * @since 0.1.0
 * @category store
 */
export * as Archive from "./store/Archive.ts"

/**
 * Moments in the past, for reads of how things stood then.
 *
 * @since 0.1.0
 * @category store
 */
export * as AsOf from "./store/AsOf.ts"

/**
 * The typed view of the event store: the streams of one kind of thing, named `category-id`, and the events they hold.
 *
 * @since 0.1.0
 * @category store
 */
export * as Category from "./store/Category.ts"

/**
 * How far something has come in the log, kept by name and moved by compare-and-set.
 *
 * @since 0.1.0
 * @category store
 */
export * as CheckpointStore from "./store/CheckpointStore.ts"

/**
 * A state written as an event, and what it covers dropped.
 *
 * @since 0.1.0
 * @category store
 */
export * as Compaction from "./store/Compaction.ts"

/**
 * What a driver of the event store implements: rows in, rows out.
 *
 * @since 0.1.0
 * @category store
 */
export * as Driver from "./store/Driver.ts"

/**
 * The event store: append with optimistic concurrency, read, subscribe.
 *
 * @since 0.1.0
 * @category store
 */
export * as EventStore from "./store/EventStore.ts"

/**
 * A whole store as NDJSON: events of every tenant, remembered ids, truncations and tombstones.
 *
 * @since 0.1.0
 * @category store
 */
export * as Export from "./store/Export.ts"

/**
 * A whole store made of what an export wrote, over any driver.
 *
 * @since 0.1.0
 * @category store
 */
export * as Import from "./store/Import.ts"

/**
 * Who owns a piece of work: one holder at a time, with a number that fences off whoever was one before.
 *
 * @since 0.1.0
 * @category store
 */
export * as Lease from "./store/Lease.ts"

/**
 * What happens to serialized payloads between the codec and the driver: encryption, compression.
 *
 * @since 0.1.0
 * @category store
 */
export * as PayloadTransform from "./store/PayloadTransform.ts"

/**
 * Which events: by type and tag.
 *
 * @since 0.1.0
 * @category store
 */
export * as Query from "./store/Query.ts"

/**
 * How long events are kept.
 *
 * @since 0.1.0
 * @category store
 */
export * as Retention from "./store/Retention.ts"

/**
 * When a snapshot is worth taking, and which snapshots fit the code that reads them.
 *
 * @since 0.1.0
 * @category store
 */
export * as Snapshot from "./store/Snapshot.ts"

/**
 * Where snapshots are kept: the state after a version, so that a read begins there and not at the first event.
 *
 * @since 0.1.0
 * @category store
 */
export * as SnapshotStore from "./store/SnapshotStore.ts"

/**
 * What can go wrong between a store and the thing it stores in.
 *
 * @since 0.1.0
 * @category store
 */
export * as StoreError from "./store/StoreError.ts"

/**
 * What a driver of the event bus implements.
 *
 * @since 0.1.0
 * @category bus
 */
export * as BusDriver from "./bus/BusDriver.ts"

/**
 * What can go wrong between a bus and the thing that carries its messages.
 *
 * @since 0.1.0
 * @category bus
 */
export * as BusError from "./bus/BusError.ts"

/**
 * A subscription that sees everything that goes over a bus, as it is, and changes nothing for anybody.
 *
 * @since 0.1.0
 * @category bus
 */
export * as Audit from "./bus/Audit.ts"

/**
 * What is done for every subscription of a bus.
 *
 * @since 0.1.0
 * @category bus
 */
export * as BusPolicy from "./bus/BusPolicy.ts"

/**
 * Large payloads go to a `KeyValueStore`, and a claim on them over the bus.
 *
 * @since 0.1.0
 * @category bus
 */
export * as ClaimCheck from "./bus/ClaimCheck.ts"

/**
 * Removes the payloads of a claim check when they have become old.
 *
 * @since 0.1.0
 * @category bus
 */
export * as ClaimCheckCleaner from "./bus/ClaimCheckCleaner.ts"

/**
 * A message that a subscription could not handle, put aside with everything that is known about it.
 *
 * @since 0.1.0
 * @category bus
 */
export * as DeadLetter from "./bus/DeadLetter.ts"

/**
 * Alerts when too many messages of a subscription become dead letters.
 *
 * @since 0.1.0
 * @category bus
 */
export * as DeadLetterAlerts from "./bus/DeadLetterAlerts.ts"

/**
 * Automatic retries of dead letters: off unless this layer is there.
 *
 * @since 0.1.0
 * @category bus
 */
export * as DeadLetterRetries from "./bus/DeadLetterRetries.ts"

/**
 * Where dead letters are kept: what a driver implements of them.
 *
 * @since 0.1.0
 * @category bus
 */
export * as DeadLetterStore from "./bus/DeadLetterStore.ts"

/**
 * The dead letters of a bus: looked through, mended, delivered again, removed.
 *
 * @since 0.1.0
 * @category bus
 */
export * as DeadLetters from "./bus/DeadLetters.ts"

/**
 * The bus: what one part of a system tells the others.
 *
 * @since 0.1.0
 * @category bus
 */
export * as EventBus from "./bus/EventBus.ts"

/**
 * A handler that took longer than its subscription lets it.
 *
 * @since 0.1.0
 * @category bus
 */
export * as HandlerTimeout from "./bus/HandlerTimeout.ts"

/**
 * Remembers which messages a subscription has handled, so that one that is delivered again is not handled again.
 *
 * @since 0.1.0
 * @category bus
 */
export * as Inbox from "./bus/Inbox.ts"

/**
 * What a bus moves: an event that was encoded, with all that its delivery depends on.
 *
 * @since 0.1.0
 * @category bus
 */
export * as Message from "./bus/Message.ts"

/**
 * What becomes of a message whose handler failed: one verdict for each error.
 *
 * @since 0.1.0
 * @category bus
 */
export * as OnError from "./bus/OnError.ts"

/**
 * From the event store to the bus: what is appended is published, if and only if the append was committed.
 *
 * @since 0.1.0
 * @category bus
 */
export * as Outbox from "./bus/Outbox.ts"

/**
 * A typed way onto the bus.
 *
 * @since 0.1.0
 * @category bus
 */
export * as Publisher from "./bus/Publisher.ts"

/**
 * Subscriptions for those who ask for their messages: a batch at a time, or as a Stream, each to be acknowledged.
 *
 * @since 0.1.0
 * @category bus
 */
export * as Pull from "./bus/Pull.ts"

/**
 * How the subscriptions of a bus are doing: what waits for them, how old it is, how fast it is handled.
 *
 * @since 0.1.0
 * @category bus
 */
export * as Queues from "./bus/Queues.ts"

/**
 * Where the answers to the requests of this process come.
 *
 * @since 0.1.0
 * @category bus
 */
export * as Replies from "./bus/Replies.ts"

/**
 * Requests over the bus: an event that asks, and a typed answer within a time.
 *
 * @since 0.1.0
 * @category bus
 */
export * as Request from "./bus/Request.ts"

/**
 * Which messages a subscription is given: by their types, or by their dotted subjects.
 *
 * @since 0.1.0
 * @category bus
 */
export * as Selector from "./bus/Selector.ts"

/**
 * Messages on their way to the bus, written in the caller's own transaction: published if and only if it commits.
 *
 * @since 0.1.0
 * @category bus
 */
export * as StagedMessages from "./bus/StagedMessages.ts"

/**
 * A bus whose messages are events: each that is published is stored in the event store.
 *
 * @since 0.1.0
 * @category bus
 */
export * as StoreBus from "./bus/StoreBus.ts"

/**
 * Subscriptions: what is done about the messages of a bus.
 *
 * @since 0.1.0
 * @category bus
 */
export * as Subscription from "./bus/Subscription.ts"

/**
 * What a window makes of its events: monoids with a way to read the result.
 *
 * @since 0.1.0
 * @category cep
 */
export * as Aggregation from "./cep/Aggregation.ts"

/**
 * Conditions as data: what `where` and `until` of a pattern ask, in a form that can be stored, shown and drawn.
 *
 * @since 0.1.0
 * @category cep
 */
export * as Condition from "./cep/Condition.ts"

/**
 * Joins of two streams within a bound of time.
 *
 * @since 0.1.0
 * @category cep
 */
export * as Join from "./cep/Join.ts"

/**
 * Finds the matches of a pattern in a stream of events: plain synchronous code over chunks, for many keys, in event time.
 *
 * @since 0.1.0
 * @category cep
 */
export * as Matcher from "./cep/Matcher.ts"

/**
 * Patterns over streams: what goes in are events, what comes out are matches.
 *
 * @since 0.1.0
 * @category cep
 */
export * as Matches from "./cep/Matches.ts"

/**
 * Patterns over events: which events, in which order, how often, within which time.
 *
 * @since 0.1.0
 * @category cep
 */
export * as Pattern from "./cep/Pattern.ts"

/**
 * Patterns in a line of text.
 *
 * @since 0.1.0
 * @category cep
 */
export * as PatternText from "./cep/PatternText.ts"

/**
 * Rules: patterns that are watched for, and what is done about each match.
 *
 * @since 0.1.0
 * @category cep
 */
export * as Rules from "./cep/Rules.ts"

/**
 * Patterns as values to be stored and loaded.
 *
 * @since 0.1.0
 * @category cep
 */
export * as StoredPattern from "./cep/StoredPattern.ts"

/**
 * How far the time of events has come, out of order and from several sources.
 *
 * @since 0.1.0
 * @category cep
 */
export * as Watermark from "./cep/Watermark.ts"

/**
 * Windows of time, of activity and of counted events.
 *
 * @since 0.1.0
 * @category cep
 */
export * as Window from "./cep/Window.ts"

/**
 * Aggregates: a decider over the streams of a category.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as Aggregate from "./cqrs/Aggregate.ts"

/**
 * Deciders: the pure heart of an aggregate.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as Decider from "./cqrs/Decider.ts"

/**
 * Decisions beyond one stream: several small folds over one query, and an append on condition that nothing they were made of changed.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as DecisionModel from "./cqrs/DecisionModel.ts"

/**
 * Projections: what the events add up to.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as Projection from "./cqrs/Projection.ts"

/**
 * Projections that most applications want: one for each type, one for each aggregate, one for each day, and statistics.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as Projections from "./cqrs/Projections.ts"

/**
 * How a projection that runs in the background ends, if it does.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as ProjectionStopped from "./cqrs/ProjectionStopped.ts"

/**
 * How far behind the log the projections and subscriptions of this process are: in events and in time, as metrics, and as alerts.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as Lag from "./cqrs/Lag.ts"

/**
 * What a projection's handler may ask of the run it is part of: whether it may act on the world, and which model it writes.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as ProjectionContext from "./cqrs/ProjectionContext.ts"

/**
 * What a projection that runs with `onFailure: "park"` has put aside: listed, tried again, dropped.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as ProjectionParking from "./cqrs/ProjectionParking.ts"

/**
 * Rebuilding a projection: a second model grows beside the one that answers, and takes its place in one step.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as ProjectionRebuild from "./cqrs/ProjectionRebuild.ts"

/**
 * One projection, several workers: the events of a key go to one of them, in order, and those of other keys beside it.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as ProjectionShards from "./cqrs/ProjectionShards.ts"

/**
 * One projection, several processes: one of them projects, the others stand by.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as ProjectionTakeOver from "./cqrs/ProjectionTakeOver.ts"

/**
 * Going through recorded events once more, with a projection or a handler: what did they come to, and what would they.
 *
 * @since 0.1.0
 * @category cqrs
 */
export * as Replay from "./cqrs/Replay.ts"

/**
 * Where events are kept that a projection could not take, with every later event of their streams.
 *
 * @since 0.1.0
 * @category store
 */
export * as ParkedEvents from "./store/ParkedEvents.ts"

/**
 * Sagas without an orchestrator: which commands follow from which events, and what undoes them.
 *
 * @since 0.1.0
 * @category saga
 */
export * as Choreography from "./saga/Choreography.ts"

/**
 * What can go wrong in a choreography itself.
 *
 * @since 0.1.0
 * @category saga
 */
export * as ChoreographyError from "./saga/ChoreographyError.ts"

/**
 * What a choreography keeps of each of its sagas.
 *
 * @since 0.1.0
 * @category saga
 */
export * as ChoreographyJournal from "./saga/ChoreographyJournal.ts"

/**
 * Which process carries through which sagas.
 *
 * @since 0.1.0
 * @category saga
 */
export * as Placement from "./saga/Placement.ts"

/**
 * Sagas as lists: each step gives a record, which is merged into the saga's data.
 *
 * @since 0.1.0
 * @category saga
 */
export * as FromSteps from "./saga/FromSteps.ts"

/**
 * Sagas: a piece of work in steps that is carried through, or undone, whatever is killed when.
 *
 * @since 0.1.0
 * @category saga
 */
export * as Saga from "./saga/Saga.ts"

/**
 * What a saga is made of, before it runs.
 *
 * @since 0.1.0
 * @category saga
 */
export * as SagaDefinition from "./saga/SagaDefinition.ts"

/**
 * The engine: carries sagas through, from their journals.
 *
 * @since 0.1.0
 * @category saga
 */
export * as SagaEngine from "./saga/SagaEngine.ts"

/**
 * How a saga, or something that is asked of one, can fail beside the saga's own error.
 *
 * @since 0.1.0
 * @category saga
 */
export * as SagaError from "./saga/SagaError.ts"

/**
 * What becomes of sagas, told on the bus.
 *
 * @since 0.1.0
 * @category saga
 */
export * as SagaEvents from "./saga/SagaEvents.ts"

/**
 * The journal of a saga: the events of its stream.
 *
 * @since 0.1.0
 * @category saga
 */
export * as SagaJournal from "./saga/SagaJournal.ts"

/**
 * What is known of a saga: its state, its steps, what it waits for, why a person is needed.
 *
 * @since 0.1.0
 * @category saga
 */
export * as SagaStatus from "./saga/SagaStatus.ts"

/**
 * Durable timers: what is to happen at an instant, however often the process is restarted until then.
 *
 * @since 0.1.0
 * @category saga
 */
export * as Timers from "./saga/Timers.ts"
