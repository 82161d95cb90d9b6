// SPDX-License-Identifier: Apache-2.0
//
// Updates of a state in another process, over TCP on this host.
//
//   remote_bench --what remote   a message of 64 MiB from a process to a receiver that applies it
//   remote_bench --what raw      as many bytes through a TCP connection, read and thrown away
//   remote_bench --what through  as remote, past an intermediary in the receiver
//   remote_bench --what checked  as remote, to an image that is checked
//   remote_bench --what log      telling the process's log, a function, of an event
//   remote_bench --what log-pipe the same, a pipe that another process reads
//
// with --seconds S. Prints a JSON object with the median: throughput in MB/s; log: ns a record.
// What the receiver has in the end is compared with what was sent.
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "auxin/checkpoint.h"
#include "checkpoint/message/message_writer.h"
#include "checkpoint/transport/remote_store.h"

namespace {

using namespace auxin::checkpoint;

constexpr uint64_t kBytes = uint64_t{64} << 20;

double now_s() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

[[noreturn]] void give_up(const std::string& why) {
  fprintf(stderr, "remote_bench: %s\n", why.c_str());
  exit(1);
}

// `work` in a process of its own, with the write end of a pipe; the read end is returned.
template <typename Work>
int in_a_child(Work work) {
  int ends[2];
  if (pipe(ends) != 0) give_up("no pipe");
  if (fork() == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    work(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  return ends[0];
}

void report(std::vector<double> rates) {
  if (rates.empty()) give_up("nothing was measured");
  std::sort(rates.begin(), rates.end());
  printf("{\"median\": %.1f, \"count\": %zu}\n", rates[rates.size() / 2], rates.size());
}

// Each update is told by `once`, which returns when the other side has it.
template <typename Once>
void measure(double seconds, Once once) {
  constexpr int kWarmUp = 3;  // buffers grow, pages come
  std::vector<double> rates;
  const double end = now_s() + seconds;
  for (int i = 0; i < kWarmUp + 5 || now_s() < end; ++i) {
    const double taken_s = once();
    if (i >= kWarmUp) rates.push_back(static_cast<double>(kBytes) / 1e6 / taken_s);
  }
  report(std::move(rates));
}

ByteBuffer update(uint64_t sequence, const std::vector<char>& state) {
  MessageWriter writer({1, sequence - 1, sequence, 0, sequence}, MessageOptions{});
  writer.begin_region(1, kBytes, 0, sequence == 1 ? kWhole : 0u);
  writer.add_contents(0, state.data(), state.size());
  return std::move(*writer.finish());
}

void remote(double seconds, bool through, bool checked) {
  const int from_child = in_a_child([&](int to_parent) {
    auxin_checkpoint_receiver_options options = AUXIN_CHECKPOINT_RECEIVER_OPTIONS;
    options.checked = checked ? 1 : 0;
    if (through) {
      options.through = [](void*, const char*, const auxin_checkpoint_message* message) {
        auxin_checkpoint_message_info info;
        auxin_checkpoint_message_get_info(message, &info);
        return info.sequence != 0 ? AUXIN_CHECKPOINT_OK : AUXIN_CHECKPOINT_STALE;
      };
    }
    const Receiver receiver("tcp:127.0.0.1:0", options);
    const std::string address = receiver.address();
    if (write(to_parent, address.c_str(), address.size() + 1) < 0) _exit(1);
    pause();
  });
  char address[100] = {};
  if (read(from_child, address, sizeof(address) - 1) <= 0) give_up("no receiver");
  const auto store = RemoteStore::open(address, "state", RemoteOptions{});
  if (!store) give_up(store.outcome().sentence);
  std::vector<char> state(kBytes);
  for (size_t i = 0; i < state.size(); ++i) state[i] = static_cast<char>(i * 2654435761u >> 13);
  uint64_t sequence = 0;
  measure(seconds, [&] {
    ++sequence;
    state[sequence * 4096 % kBytes] = static_cast<char>(sequence);
    const ByteBuffer message = update(sequence, state);
    const MessageView view = *MessageView::of(message.view());
    const double begin = now_s();
    const Outcome outcome = (*store)->put(view);
    const double taken_s = now_s() - begin;
    if (!outcome) give_up(outcome.sentence);
    return taken_s;
  });
  Image image;
  if (const Outcome outcome = (*store)->read(&image); !outcome) give_up(outcome.sentence);
  const Image::Region* region = image.region(1);
  if (region == nullptr || memcmp(region->bytes.data(), state.data(), kBytes) != 0) {
    give_up("the receiver has something else than was sent");
  }
}

void raw(double seconds) {
  const int from_child = in_a_child([&](int to_parent) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof(at);
    if (bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof(at)) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, reinterpret_cast<sockaddr*>(&at), &bytes) != 0 ||
        write(to_parent, &at, sizeof(at)) < 0) {
      _exit(1);
    }
    const int fd = accept(listener, nullptr, nullptr);
    std::vector<char> buffer(512 << 10);
    uint64_t came = 0;
    for (ssize_t got; (got = recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
      came += static_cast<uint64_t>(got);
      if (came % kBytes == 0 && send(fd, "", 1, 0) != 1) break;
    }
  });
  sockaddr_in at;
  if (read(from_child, &at, sizeof(at)) != sizeof(at)) give_up("no receiver");
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof(at)) != 0) give_up("no connection");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const std::vector<char> state(kBytes, 1);
  measure(seconds, [&] {
    const double begin = now_s();
    for (uint64_t sent = 0; sent < kBytes;) {
      const uint64_t part = std::min<uint64_t>(kBytes - sent, 512 << 10);
      const ssize_t put = send(fd, state.data() + sent, part, MSG_NOSIGNAL);
      if (put < 0) give_up("the connection broke");
      sent += static_cast<uint64_t>(put);
    }
    char byte;
    if (recv(fd, &byte, 1, 0) != 1) give_up("the connection broke");
    return now_s() - begin;
  });
}

// `tell` as it is after `begin`, in batches.
void log_costs(double seconds) {
  constexpr int kBatch = 2000;
  std::vector<double> costs_ns;
  const double end = now_s() + seconds;
  while (now_s() < end || costs_ns.size() < 5) {
    const double begin = now_s();
    for (int i = 0; i < kBatch; ++i) auxin_checkpoint_log_note(1, 1);
    costs_ns.push_back((now_s() - begin) * 1e9 / kBatch);
  }
  auxin_checkpoint_log_stop();
  report(std::move(costs_ns));
}

void log_to_function(double seconds) {
  static uint64_t told;
  demand(auxin_checkpoint_log_to(
      [](void*, const auxin_checkpoint_record* record) { told = record->number; }, nullptr));
  log_costs(seconds);
  if (told == 0) give_up("the log was told nothing");
}

void log_to_pipe(double seconds) {
  int ends[2];
  if (pipe(ends) != 0) give_up("no pipe");
  const int reader = in_a_child([&](int) {
    close(ends[1]);
    std::vector<char> records(64 << 10);
    while (read(ends[0], records.data(), records.size()) > 0) {
    }
  });
  close(ends[0]);
  demand(auxin_checkpoint_log_to_descriptor(ends[1]));
  log_costs(seconds);
  close(ends[1]);
  char byte;
  if (read(reader, &byte, 1) != 0) give_up("the reader of the log did not end");
}

}  // namespace

int main(int argc, char** argv) {
  std::string what;
  double seconds = 2;
  const option options[] = {{"what", required_argument, nullptr, 'w'},
                            {"seconds", required_argument, nullptr, 's'},
                            {nullptr, 0, nullptr, 0}};
  for (int letter; (letter = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
    if (letter == 'w') what = optarg;
    if (letter == 's') seconds = atof(optarg);
    if (letter == '?') return 2;
  }
  if (what == "remote" || what == "through" || what == "checked") {
    remote(seconds, what == "through", what == "checked");
  } else if (what == "raw") {
    raw(seconds);
  } else if (what == "log") {
    log_to_function(seconds);
  } else if (what == "log-pipe") {
    log_to_pipe(seconds);
  } else {
    give_up("--what remote, through, checked, raw, log or log-pipe");
  }
  return 0;
}
