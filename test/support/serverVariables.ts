/** Every server a suite can ask for, by its name in `scripts/services.sh`, with the variable that says where it is. */
export const serverVariables = {
  postgres: "SKALD_POSTGRES_URL",
  mariadb: "SKALD_MYSQL_URL",
  redis: "SKALD_REDIS_URL",
  rabbitmq: "SKALD_AMQP_URL",
  nats: "SKALD_NATS_URL",
  kafka: "SKALD_KAFKA_BROKERS"
} as const

/** The name of a server, as `scripts/services.sh` knows it. */
export type ServerName = keyof typeof serverVariables
