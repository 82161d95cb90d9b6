// SPDX-License-Identifier: Apache-2.0
//
// auxin checkpoint-server: keeps the states that processes save through messages.
// Exit status: 0 done, 1 a kept state is damaged or the service does not work here, 2 refused.
#include <fmt/format.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "checkpoint/detection/self_test.h"
#include "checkpoint/server/forwarder.h"
#include "checkpoint/server/service.h"
#include "checkpoint/transport/keyed_digest.h"
#include "cli/command.h"
#include "cli/text_table.h"

namespace auxin::cli {
namespace {

using Json = nlohmann::ordered_json;
using checkpoint::Expected;
using checkpoint::Outcome;
using checkpoint::RemoteStore;

struct Options {
  std::string directory, address, listen, secret_file, forward, through;
  uint64_t max_message_bytes = uint64_t{1} << 30;
  uint64_t max_image_bytes = uint64_t{4} << 30;
  uint64_t most_names = 1024;
  bool no_sync = false, json = false;
};

void tell(const std::string& sentence) { fmt::print(stderr, "auxin: {}\n", sentence); }

Outcome read_secret(const Options& options, std::string* secret) {
  if (options.secret_file.empty()) return Outcome::ok();
  Expected<std::string> read = checkpoint::read_secret(options.secret_file);
  if (!read) return read.outcome();
  *secret = std::move(*read);
  return Outcome::ok();
}

// Blocked in every thread; taken by wait_for_signal.
sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  return signals;
}

int serve(const Options& options) {
  const sigset_t signals = ending_signals();
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  checkpoint::ServiceOptions how;
  how.address = options.listen.empty() ? "unix:" + options.directory + "/.socket" : options.listen;
  how.max_message_bytes = options.max_message_bytes;
  how.max_transfer_bytes = 2 * options.max_message_bytes;
  how.tell = tell;
  if (const Outcome outcome = read_secret(options, &how.secret); !outcome) {
    return refuse(outcome.sentence);
  }
  auto states = checkpoint::DirectoryStates::open_at(options.directory, !options.no_sync,
                                                     options.max_image_bytes, options.most_names);
  if (!states) return refuse(states.outcome().sentence);
  checkpoint::RemoteOptions peer;
  peer.secret = how.secret;
  peer.give_up_ms = 2000;  // the sender waits for it
  std::unique_ptr<checkpoint::PeerStores> intermediary;
  if (!options.through.empty()) {
    intermediary = std::make_unique<checkpoint::PeerStores>(options.through, peer);
    how.through = [&](const std::string& name, const checkpoint::MessageView& message) {
      return intermediary->with(name, [&](RemoteStore& store) { return store.put(message); });
    };
  }
  std::unique_ptr<checkpoint::Forwarder> forwarder;
  if (!options.forward.empty()) {
    forwarder = std::make_unique<checkpoint::Forwarder>(options.forward, peer, states->get(), tell);
    how.kept = [&](const std::string& name, const checkpoint::MessageView&,
                   checkpoint::MessageStore&) { forwarder->notify(name); };
  }
  auto service = checkpoint::Service::start(how, states->get());
  if (!service) return refuse(service.outcome().sentence);
  const int printed = print(fmt::format("{}: serving at {} (pid {})\n", options.directory,
                                        (*service)->address(), getpid()));
  if (printed != kDone) return printed;
  fflush(stdout);
  int number = 0;
  while (sigwait(&signals, &number) != 0) {
  }
  service->reset();  // before what it calls
  return kDone;
}

int test_itself(const Options& options) {
  Json rows = Json::array();
  TextTable table("lll");
  bool good = true;
  for (const checkpoint::SelfTestPart& part : checkpoint::self_test()) {
    const char* result = !part.tested ? "not here" : part.good ? "good" : "wrong";
    good = good && part.good;
    rows.push_back({{"part", part.name}, {"result", result}, {"sentence", part.sentence}});
    table.add({part.name, result, part.sentence});
  }
  const int printed =
      print(options.json ? Json{{"schema", 1}, {"parts", rows}}.dump(2) + "\n" : table.text());
  if (printed != kDone) return printed;
  return good ? kDone : kFailed;
}

int list(const Options& options) {
  checkpoint::RemoteOptions how;
  how.give_up_ms = 2000;
  if (const Outcome outcome = read_secret(options, &how.secret); !outcome) {
    return refuse(outcome.sentence);
  }
  const auto entries = RemoteStore::list(options.address, how);
  if (!entries) return refuse(entries.outcome().sentence);
  Json rows = Json::array();
  TextTable table("lrrrrr");
  table.add({"name", "base", "sequence", "messages", "size", "damaged"});
  bool damaged = false;
  for (const RemoteStore::Entry& entry : *entries) {
    const checkpoint::KeptRecord& kept = entry.kept;
    damaged = damaged || kept.damaged != 0;
    rows.push_back({{"name", entry.name},
                    {"state", fmt::format("{:016x}", kept.state)},
                    {"base_sequence", kept.base_sequence},
                    {"sequence", kept.sequence},
                    {"messages", kept.messages},
                    {"size_bytes", kept.bytes},
                    {"damaged", kept.damaged}});
    table.add({entry.name, fmt::format("{}", kept.base_sequence),
               fmt::format("{}", kept.sequence), fmt::format("{}", kept.messages),
               grouped(kept.bytes), fmt::format("{}", kept.damaged)});
  }
  const int printed =
      print(options.json ? Json{{"schema", 1}, {"states", rows}}.dump(2) + "\n" : table.text());
  if (printed != kDone) return printed;
  return damaged ? kFailed : kDone;
}

void add_secret(CLI::App* part, const std::shared_ptr<Options>& options) {
  part->add_option("--secret-file", options->secret_file,
                   "What servers and clients know, in a file of mode 0600")
      ->type_name("FILE");
}

}  // namespace

void add_checkpoint_server_command(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("checkpoint-server", "Keep the states that processes save by messages");
  command->require_subcommand(1);

  CLI::App* part = command->add_subcommand("serve", "Serve, until a signal");
  part->add_option("DIRECTORY", options->directory, "Where states are kept; made if need be")
      ->required();
  part->add_option("--listen", options->listen,
                   "unix:PATH or tcp:HOST:PORT (default unix:DIRECTORY/.socket)")
      ->type_name("ADDRESS");
  add_secret(part, options);
  part->add_option("--forward", options->forward,
                   "Hand on what is kept to this server or receiver")
      ->type_name("ADDRESS");
  part->add_option("--through", options->through,
                   "Have each message pass this receiver before it is kept")
      ->type_name("ADDRESS");
  part->add_option("--max-message", options->max_message_bytes,
                   "Refuse larger messages (default 1G)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE");
  part->add_option("--max-names", options->most_names, "Keep at most so many states (default 1024)")
      ->type_name("N");
  part->add_flag("--no-sync", options->no_sync,
                 "What is kept survives the death of processes, not of the machine");
  part->callback([=] { *action = [=] { return serve(*options); }; });

  part = command->add_subcommand("list", "Say what a server keeps");
  part->add_option("ADDRESS", options->address, "Where it listens")->required();
  add_secret(part, options);
  part->add_flag("--json", options->json, "As JSON");
  part->callback([=] { *action = [=] { return list(*options); }; });

  part = command->add_subcommand("self-test", "See whether the service works on this machine");
  part->add_flag("--json", options->json, "As JSON");
  part->callback([=] { *action = [=] { return test_itself(*options); }; });
}

}  // namespace auxin::cli
