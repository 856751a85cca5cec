#!/usr/bin/env bash
# Real servers for the tests, each on loopback with a port and a folder of its own.
#
#   scripts/services.sh start  [names…]   installs what is missing, starts, waits until each answers, prints `env`
#   scripts/services.sh stop   [names…]   stops by process id
#   scripts/services.sh status [names…]   one line a server; fails when one that was named does not run
#   scripts/services.sh env    [names…]   the variables that the tests read, of the servers that run
#
# Names: postgres mariadb redis rabbitmq nats kafka; without one, all. Starting twice is harmless, and so is stopping.
# SKALD_SERVICES_DIR is where they live (default /var/tmp/skald-services); SKALD_<NAME>_PORT asks for a port. Data is
# kept when a server stops; remove the folder to forget it. Only Debian's packages and Maven Central are asked.
set -euo pipefail

ALL=(postgres mariadb redis rabbitmq nats kafka)
ROOT=${SKALD_SERVICES_DIR:-/var/tmp/skald-services}
WAIT=${SKALD_SERVICES_WAIT:-90} # seconds that a server may take to answer
KAFKA_VERSION=3.9.1

say() { printf 'services: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# ---------------------------------------------------------------------------------------------- processes and ports

# A process is known by its id and the time it started, so that an id that was given to another is never killed.
started_at() { awk '{ sub(/^.*\) /, ""); print $20 }' "/proc/$1/stat" 2>/dev/null; }
remember() { # name pid
  printf '%s %s\n' "$2" "$(started_at "$2")" >"$ROOT/$1/pid"
}
pid_of() { # prints the process id when it is alive
  local pid born
  [ -f "$ROOT/$1/pid" ] || return 1
  read -r pid born <"$ROOT/$1/pid" || return 1
  [ -n "$pid" ] && [ -n "$born" ] && [ "$(started_at "$pid")" = "$born" ] || return 1
  # A zombie has ended, whoever forgot to wait for it.
  [ "$(awk '{ sub(/^.*\) /, ""); print $1 }' "/proc/$pid/stat" 2>/dev/null)" != Z ] || return 1
  printf '%s' "$pid"
}
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
choose_port() { # folder preferred: the port of last time, or the preferred one, or the next that is free
  local file="$ROOT/$1" port
  port=$2
  if [ -f "$file" ] && [ -z "${3:-}" ]; then port=$(cat "$file"); fi
  while listening "$port"; do port=$((port + 1)); done
  printf '%s' "$port" >"$file"
}
port_of() { cat "$ROOT/$1/port"; }
asked_port() { local name="SKALD_${1^^}_PORT"; printf '%s' "${!name:-}"; }

# Runs a command as another user when we are root; execs, so that $! is the server itself.
as() {
  local user=$1
  shift
  if [ "$(id -u)" = 0 ]; then exec setpriv --reuid="$user" --regid="$user" --init-groups "$@"; else exec "$@"; fi
}
run_as() { (as "$@") ; }
own() { # user path…
  local user=$1
  shift
  mkdir -p "$@"
  if [ "$(id -u)" = 0 ]; then chown "$user:$user" "$@"; fi
}
# Starts a server in the background, apart from our terminal, our lock and our output. Sets STARTED to its id.
spawn() { # name user command…
  local name=$1 user=$2
  shift 2
  (as "$user" setsid "$@") </dev/null >>"$ROOT/$name/log" 2>&1 9>&- &
  STARTED=$!
}
answers() { # name check…: waits until the check succeeds, or the process ends, or time is up
  local name=$1 until=$((SECONDS + WAIT))
  shift
  until "$@" >/dev/null 2>&1; do
    if ! pid_of "$name" >/dev/null; then
      tail -n 30 "$ROOT/$name/log" >&2 || true
      die "$name ended before it answered; its log is $ROOT/$name/log"
    fi
    if [ "$SECONDS" -ge "$until" ]; then
      tail -n 30 "$ROOT/$name/log" >&2 || true
      die "$name did not answer within $WAIT s; its log is $ROOT/$name/log"
    fi
    sleep 0.1
  done
}

# ---------------------------------------------------------------------------------------------------- installation

pg_bin() { find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1; }
installed() {
  case $1 in
  postgres) [ -x "$(pg_bin)/initdb" ] ;;
  mariadb) [ -x /usr/sbin/mariadbd ] ;;
  redis) command -v redis-server >/dev/null ;;
  rabbitmq) [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] ;;
  nats) command -v nats-server >/dev/null ;;
  kafka) command -v java >/dev/null && { command -v mvn >/dev/null || [ -f "$ROOT/kafka/libs/.complete" ]; } ;;
  esac
}
packages() {
  case $1 in
  postgres) echo postgresql ;;
  mariadb) echo mariadb-server ;;
  redis) echo redis-server ;;
  rabbitmq) echo rabbitmq-server ;;
  nats) echo nats-server ;;
  kafka) echo default-jre-headless maven ;;
  esac
}
install() {
  local name missing=()
  for name in "$@"; do
    # shellcheck disable=SC2207
    installed "$name" || missing+=($(packages "$name"))
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "not installed: ${missing[*]} (run as root, or install them)"
  command -v apt-get >/dev/null || die "not installed: ${missing[*]} (there is no apt-get here: install them)"
  say "installing ${missing[*]}"
  local log="$ROOT/install.log" policy=/usr/sbin/policy-rc.d ours=no
  # Packages would start their servers on the default ports; this says no while we install.
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    ours=yes
  fi
  local status=0
  { DEBIAN_FRONTEND=noninteractive apt-get update -q &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"; } \
    </dev/null >"$log" 2>&1 9>&- || status=$?
  [ $ours = no ] || rm -f $policy
  if [ $status != 0 ]; then
    tail -n 20 "$log" >&2
    die "installation failed; its log is $log"
  fi
  for name in "$@"; do installed "$name" || die "$name is still missing after installation; the log is $log"; done
}

# ------------------------------------------------------------------------------------------------------ the servers

start_postgres() {
  local dir=$ROOT/postgres bin
  bin=$(pg_bin)
  own postgres "$dir" "$dir/socket"
  if [ ! -f "$dir/data/PG_VERSION" ]; then
    rm -rf "$dir/data"
    run_as postgres "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-sync >>"$dir/log" 2>&1
  fi
  rm -f "$dir/data/postmaster.pid"
  choose_port postgres/port "${1:-25432}" "${1:-}"
  spawn postgres postgres "$bin/postgres" -D "$dir/data" -p "$(port_of postgres)" -k "$dir/socket" \
    -c listen_addresses=127.0.0.1 -c max_connections=200
  remember postgres "$STARTED"
  local psql=("$bin/psql" -h 127.0.0.1 -p "$(port_of postgres)" -U postgres -X -q -t)
  answers postgres "${psql[@]}" -c 'select 1' postgres
  if ! "${psql[@]}" -c "select 'there' from pg_database where datname = 'skald'" postgres | grep -q there; then
    "${psql[@]}" -c 'create database skald' postgres
  fi
}
env_postgres() { echo "SKALD_POSTGRES_URL=postgres://postgres@127.0.0.1:$(port_of postgres)/skald"; }

start_mariadb() {
  local dir=$ROOT/mariadb
  own mysql "$dir"
  if [ ! -f "$dir/.complete" ]; then
    rm -rf "$dir/data"
    own mysql "$dir/data"
    run_as mysql mariadb-install-db --no-defaults --user=mysql --datadir="$dir/data" \
      --auth-root-authentication-method=normal --skip-test-db >>"$dir/log" 2>&1
    touch "$dir/.complete"
  fi
  choose_port mariadb/port "${1:-23306}" "${1:-}"
  spawn mariadb mysql /usr/sbin/mariadbd --no-defaults --datadir="$dir/data" --port="$(port_of mariadb)" \
    --bind-address=127.0.0.1 --socket="$dir/socket" --pid-file="$dir/mariadbd.pid" --max-connections=200
  remember mariadb "$STARTED"
  local client=(mariadb --no-defaults --socket="$dir/socket" -u root)
  answers mariadb "${client[@]}" -e 'select 1'
  "${client[@]}" -e "create database if not exists skald character set utf8mb4;
    create user if not exists 'skald'@'localhost' identified by 'skald'; grant all on *.* to 'skald'@'localhost';
    create user if not exists 'skald'@'127.0.0.1' identified by 'skald'; grant all on *.* to 'skald'@'127.0.0.1'"
}
env_mariadb() { echo "SKALD_MYSQL_URL=mysql://skald:skald@127.0.0.1:$(port_of mariadb)/skald"; }

start_redis() {
  local dir=$ROOT/redis
  own redis "$dir" "$dir/data"
  choose_port redis/port "${1:-26379}" "${1:-}"
  spawn redis redis redis-server --port "$(port_of redis)" --bind 127.0.0.1 --dir "$dir/data" --appendonly yes \
    --daemonize no
  remember redis "$STARTED"
  redis_answers() { [ "$(redis-cli -h 127.0.0.1 -p "$(port_of redis)" ping)" = PONG ]; }
  answers redis redis_answers
}
env_redis() { echo "SKALD_REDIS_URL=redis://127.0.0.1:$(port_of redis)"; }

# The first frame of a broker that is ready is Connection.Start on channel 0.
amqp_answers() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf 'AMQP\x00\x00\x09\x01' >&3
    [ "$(timeout 5 head -c 3 <&3 | od -An -tx1 | tr -d ' \n')" = 010000 ]
  ) 2>/dev/null
}
rabbit_environment() {
  local dir=$ROOT/rabbitmq
  printf '%s\n' "HOME=$dir/home" "PATH=$PATH" "LANG=C.UTF-8" "ERL_EPMD_ADDRESS=127.0.0.1" \
    "ERL_EPMD_PORT=$(cat "$ROOT/rabbitmq-epmd/port")" \
    "RABBITMQ_NODENAME=skald@localhost" "RABBITMQ_DIST_PORT=$(cat "$dir/dist-port")" \
    "RABBITMQ_MNESIA_BASE=$dir/mnesia" "RABBITMQ_LOG_BASE=$dir/logs" "RABBITMQ_CONFIG_FILE=$dir/rabbitmq" \
    "RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins" "RABBITMQ_PID_FILE=$dir/beam.pid" \
    "RABBITMQ_CONF_ENV_FILE=$dir/no-env.conf" \
    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}"
}
start_rabbitmq() {
  local dir=$ROOT/rabbitmq epmd=$ROOT/rabbitmq-epmd
  own rabbitmq "$dir" "$dir/home" "$dir/mnesia" "$dir/logs" "$epmd"
  # Our own epmd on a port of its own, so that there is one to stop.
  if ! pid_of rabbitmq-epmd >/dev/null; then
    choose_port rabbitmq-epmd/port 24369
    spawn rabbitmq-epmd rabbitmq env HOME="$dir/home" epmd -port "$(port_of rabbitmq-epmd)" -address 127.0.0.1
    remember rabbitmq-epmd "$STARTED"
    answers rabbitmq-epmd listening "$(port_of rabbitmq-epmd)"
  fi
  choose_port rabbitmq/port "${1:-25672}" "${1:-}"
  choose_port rabbitmq/dist-port 24672
  printf 'listeners.tcp.1 = 127.0.0.1:%s\nloopback_users = none\n' "$(port_of rabbitmq)" >"$dir/rabbitmq.conf"
  printf '[].\n' >"$dir/enabled_plugins"
  : >"$dir/no-env.conf"
  rm -f "$dir/beam.pid"
  local environment
  mapfile -t environment < <(rabbit_environment)
  spawn rabbitmq rabbitmq env -i "${environment[@]}" /usr/lib/rabbitmq/bin/rabbitmq-server
  remember rabbitmq "$STARTED"
  answers rabbitmq amqp_answers "$(port_of rabbitmq)"
  # The script that starts it waits beside it: what is stopped later is the Erlang machine itself.
  remember rabbitmq "$(cat "$dir/beam.pid")"
}
env_rabbitmq() { echo "SKALD_AMQP_URL=amqp://guest:guest@127.0.0.1:$(port_of rabbitmq)"; }

start_nats() {
  local dir=$ROOT/nats
  own "$(id -un)" "$dir"
  choose_port nats/port "${1:-24222}" "${1:-}"
  spawn nats "$(id -un)" nats-server -a 127.0.0.1 -p "$(port_of nats)" -js -sd "$dir/data"
  remember nats "$STARTED"
  nats_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$(port_of nats)" && timeout 5 head -c 4 <&3 | grep -q INFO) 2>/dev/null; }
  answers nats nats_answers
}
env_nats() { echo "SKALD_NATS_URL=nats://127.0.0.1:$(port_of nats)"; }

kafka_jars() {
  local dir=$ROOT/kafka
  [ ! -f "$dir/libs/.complete" ] || return 0
  say "fetching Kafka $KAFKA_VERSION from Maven Central"
  rm -rf "$dir/libs" "$dir/pom"
  mkdir -p "$dir/pom"
  cat >"$dir/pom/pom.xml" <<POM
<project><modelVersion>4.0.0</modelVersion><groupId>skald</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA_VERSION</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency></dependencies></project>
POM
  mvn -q -B -f "$dir/pom/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/libs" \
    </dev/null >>"$dir/log" 2>&1 9>&- || { tail -n 20 "$dir/log" >&2; die "the jars of Kafka could not be fetched"; }
  touch "$dir/libs/.complete"
}
start_kafka() {
  local dir=$ROOT/kafka
  own "$(id -un)" "$dir"
  kafka_jars
  choose_port kafka/port "${1:-29092}" "${1:-}"
  choose_port kafka/controller-port 29093
  local port controller
  port=$(port_of kafka)
  controller=$(cat "$dir/controller-port")
  cat >"$dir/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$dir/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
PROPERTIES
  if [ ! -f "$dir/data/meta.properties" ]; then
    rm -rf "$dir/data"
    local id
    id=$(java -cp "$dir/libs/*" kafka.tools.StorageTool random-uuid 2>>"$dir/log" | tail -n 1)
    java -cp "$dir/libs/*" kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" >>"$dir/log" 2>&1
  fi
  : >"$dir/log"
  spawn kafka "$(id -un)" java -Xmx512m -XX:+UseSerialGC -cp "$dir/libs/*" kafka.Kafka "$dir/server.properties"
  remember kafka "$STARTED"
  kafka_answers() { grep -q 'Kafka Server started' "$dir/log" && listening "$port"; }
  answers kafka kafka_answers
}
env_kafka() { echo "SKALD_KAFKA_BROKERS=127.0.0.1:$(port_of kafka)"; }

# ------------------------------------------------------------------------------------------------------ the commands

start() {
  install "$@"
  local name began
  for name in "$@"; do
    if pid_of "$name" >/dev/null; then
      say "$name already runs (process $(pid_of "$name"), port $(port_of "$name"))"
      continue
    fi
    mkdir -p "$ROOT/$name"
    rm -f "$ROOT/$name/pid"
    began=$(date +%s%N)
    "start_$name" "$(asked_port "$name")"
    say "$name answers on port $(port_of "$name") (process $(pid_of "$name"), $((($(date +%s%N) - began) / 1000000)) ms)"
  done
}

end() { # name signal
  local name=$1 pid until
  pid=$(pid_of "$name") || { rm -f "$ROOT/$name/pid"; return 1; }
  kill -s "$2" "$pid" 2>/dev/null || true
  until=$((SECONDS + 30))
  while pid_of "$name" >/dev/null; do
    if [ "$SECONDS" -ge "$until" ]; then
      say "$name does not end: killing process $pid"
      kill -s KILL "$pid" 2>/dev/null || true
      until=$((SECONDS + 30))
    fi
    sleep 0.1
  done
  rm -f "$ROOT/$name/pid"
}
stop() {
  local name signal
  for name in "$@"; do
    signal=TERM
    [ "$name" != postgres ] || signal=INT # fast: clients are disconnected
    if end "$name" $signal; then say "$name stopped"; else say "$name does not run"; fi
    [ "$name" != rabbitmq ] || end rabbitmq-epmd TERM || true
  done
}

status() {
  local name pid missing=0
  for name in "$@"; do
    if pid=$(pid_of "$name"); then
      printf '%-9s runs     process %-8s %s\n' "$name" "$pid" "$("env_$name")"
    else
      printf '%-9s stopped\n' "$name"
      missing=1
    fi
  done
  return $missing
}

environment() {
  local name
  for name in "$@"; do
    if pid_of "$name" >/dev/null; then printf 'export %s\n' "$("env_$name")"; fi
  done
}

usage() { sed -n '2,12s/^# \{0,1\}//p' "$0"; }

command=${1:-}
[ $# -eq 0 ] || shift
names=()
for name in "$@"; do
  case $name in
  postgresql | pg) name=postgres ;;
  mysql) name=mariadb ;;
  amqp) name=rabbitmq ;;
  esac
  case " ${ALL[*]} " in
  *" $name "*) names+=("$name") ;;
  *) die "there is no service \"$name\"; there are: ${ALL[*]}" ;;
  esac
done
named=${#names[@]}
[ "$named" -gt 0 ] || names=("${ALL[@]}")

case $command in
start | stop)
  mkdir -p "$ROOT"
  chmod 755 "$ROOT"
  exec 9>"$ROOT/lock"
  flock 9 # one at a time; servers do not inherit it
  "$command" "${names[@]}"
  [ "$command" != start ] || environment "${names[@]}"
  ;;
status) status "${names[@]}" || [ "$named" = 0 ] || exit 3 ;;
env) environment "${names[@]}" ;;
help | --help | -h) usage ;;
*)
  usage >&2
  exit 2
  ;;
esac
