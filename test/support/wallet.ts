import { Either, Schema } from "effect"
import * as Aggregate from "effect-skald/cqrs/Aggregate"
import * as Decider from "effect-skald/cqrs/Decider"
import * as Event from "effect-skald/event/Event"
import * as Category from "effect-skald/store/Category"

/** A wallet: money goes in and out, never below nothing. */
export const Deposited = Event.make("Deposited", { amount: Schema.Int })
export const Withdrawn = Event.make("Withdrawn", { amount: Schema.Int })

export const Deposit = Schema.TaggedStruct("Deposit", { amount: Schema.Positive.pipe(Schema.int()) })
/** Takes what there is of an amount, in pieces of at most 10: how many events it leads to depends on the state. */
export const Drain = Schema.TaggedStruct("Drain", { amount: Schema.Int })
export const Withdraw = Schema.TaggedStruct("Withdraw", { amount: Schema.Int })
/** Changes nothing. */
export const Look = Schema.TaggedStruct("Look", {})

export class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", { balance: Schema.Int }) {}

export const WalletState = Schema.Struct({ balance: Schema.Int, moves: Schema.Int })

export const WalletContract = Decider.make("wallet", {
  state: WalletState,
  commands: Schema.Union(Deposit, Withdraw, Drain, Look),
  events: Schema.Union(Deposited, Withdrawn),
  errors: Overdrawn
})

export const Wallet = WalletContract({
  initial: { balance: 0, moves: 0 },
  decide: (command, { balance }) => {
    switch (command._tag) {
      case "Deposit":
        return Either.right([Deposited({ amount: command.amount })])
      case "Withdraw":
        return command.amount > balance
          ? Either.left(new Overdrawn({ balance }))
          : Either.right([Withdrawn({ amount: command.amount })])
      case "Drain": {
        const pieces: Array<typeof Withdrawn.Type> = []
        for (let rest = Math.min(balance, command.amount); rest > 0; rest -= 10) {
          pieces.push(Withdrawn({ amount: Math.min(rest, 10) }))
        }
        return Either.right(pieces)
      }
      case "Look":
        return Either.right([])
    }
  },
  evolve: ({ balance, moves }, event) => ({
    balance: event._tag === "Deposited" ? balance + event.amount : balance - event.amount,
    moves: moves + 1
  })
})

export const Wallets = Category.make("wallet", { events: [Deposited, Withdrawn] })

export const wallets = Aggregate.make(Wallet, Wallets)

export const deposit = (amount: number) => Deposit.make({ amount })
export const withdraw = (amount: number) => Withdraw.make({ amount })
export const drain = (amount: number) => Drain.make({ amount })
export const look = Look.make()
