#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Starts a bank on a free loopback port, lets clients at it, and demands that everything be as it
# must: each answer, exactly-once, and the server's end with status 0 on SIGTERM.
#
#     bank_e2e_test.sh BIN_DIR CASE [SERVER-OPTION...]
#
# CASE is a function below. BANK_SERVER, if set, is the command that starts the server in place of
# BIN_DIR/bank_server; it gets the same options.
set -u
bin=$1
case_name=$2
shift 2

directory=$(mktemp -d)
server_pid=
cleanup() {
  [ -n "$server_pid" ] && kill -9 "$server_pid" 2>/dev/null
  rm -rf "$directory"
}
trap cleanup EXIT
fail() {
  echo "FAILED: $*"
  exit 1
}

start_server() {
  mkfifo "$directory/out"
  ${BANK_SERVER:-"$bin/bank_server"} --ior-file "$directory/ior" "$@" >"$directory/out" &
  server_pid=$!
  read -r line <"$directory/out" || fail "the server ended before it was ready"
  address=${line#bank_server ready: }
  [ "$address" != "$line" ] || fail "the server said: $line"
  echo "$line"
}

stop_server() {
  kill -TERM "$server_pid"
  wait "$server_pid"
  status=$?
  server_pid=
  [ $status -eq 0 ] || fail "the server ended with status $status"
}

# expect OUTPUT ARGUMENT...: the client's output must be just that.
expect() {
  wanted=$1
  shift
  got=$("$bin/bank_client" "$address" "$@" 2>&1)
  [ "$got" = "$wanted" ] || fail "bank_client $*: '$got' instead of '$wanted'"
}

load() {
  echo "bank_load $*"
  "$bin/bank_load" "$address" --one-connection "$@" || fail "bank_load $*"
}

operations() {
  expect ann open ann
  expect 100 deposit ann 100
  expect 5 deposit bob 5
  expect "" transfer ann bob 40
  expect 50 withdraw ann 10
  expect "InsufficientFunds: balance 50, requested 51" withdraw ann 51
  expect "InsufficientFunds: balance 50, requested 51" transfer ann bob 51
  expect "NoSuchAccount: eve" transfer ann eve 1
  expect "NoSuchAccount: eve" order eve 1
  expect "BAD_PARAM (no minor code)" deposit ann 0
  expect "" order bob 7
  expect "" drain
  expect 52 balance bob
  expect "2 102" audit
  expect "0	100	100	deposit
1	-40	60	transfer to bob
2	-10	50	withdraw" statement ann
  expect "0	5	5	deposit
1	40	45	transfer from ann
2	7	52	order" statement bob
  expect "" ping
  expect 0 echo 0
  expect 3000000 echo 3000000
  fingerprint=$("$bin/bank_client" "$address" fingerprint) || fail fingerprint
  expect "$fingerprint" fingerprint
  expect 51 deposit ann 1
  [ "$fingerprint" != "$("$bin/bank_client" "$address" fingerprint)" ] ||
    fail "a deposit does not show in the fingerprint"
  token=$("$bin/bank_client" "$address" token)
  [ ${#token} -eq 48 ] || fail "token '$token'"
  [ "$token" != "$("$bin/bank_client" "$address" token)" ] || fail "the same token twice"
  now_ns=$("$bin/bank_client" "$address" now) || fail now
  [ "${now_ns%?????????}" -gt 1500000000 ] || fail "now '$now_ns'"
  address=$(cat "$directory/ior")
  expect 51 balance ann
}

loads() {
  for mix in deposit transfer mixed open queue ping; do
    load --mix $mix --clients 3 --calls 3000
  done
  load --mix mixed --clients 2 --threads 3 --calls 3000
  load --mix mixed --clients 2 --seconds 1 --rate 300
}

giop_versions() {
  for version in 1.0 1.1 1.2; do
    load --mix mixed --clients 2 --calls 2000 -ORBmaxGIOPVersion $version
    got=$("$bin/bank_client" "$address" echo 5000000 -ORBmaxGIOPVersion $version)
    [ "$got" = 5000000 ] || fail "echo by GIOP $version"
  done
}

# The checks are worth something only if they fail when they should.
server_killed_under_load() {
  mkfifo "$directory/progress"
  "$bin/bank_load" "$address" --clients 2 --seconds 3 --mix mixed --progress \
    --json "$directory/json" \
    >"$directory/report" 2>"$directory/progress" &
  load_pid=$!
  exec 3<"$directory/progress"
  read -r line <&3  # the first line of progress: calls are under way
  kill -9 "$server_pid"
  wait "$server_pid"
  server_pid=
  cat <&3 >/dev/null
  wait "$load_pid" && fail "bank_load did not notice that the server was killed"
  cat "$directory/report"
  grep -q COMM_FAILURE "$directory/report" || fail "no COMM_FAILURE"
  grep -q '"good": false' "$directory/json" || fail "no report"
}

start_server "$@"
$case_name
[ -z "$server_pid" ] || stop_server
echo "PASSED: $case_name $*"
