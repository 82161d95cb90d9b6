// SPDX-License-Identifier: Apache-2.0
//
// auxin switch: a running group changes its style.
// auxin restore: a running group begins again from a checkpoint, or its objects get the states of a
// portable image.
#include <fmt/format.h>
#include <poll.h>

#include <memory>
#include <optional>

#include "checkpoint/portable/state_transfer.h"
#include "cli/command.h"
#include "replication/supervisor/configuration.h"
#include "replication/supervisor/group_memory.h"
#include "replication/supervisor/portable_file.h"
#include "replication/supervisor/sentence.h"
#include "replication/supervisor/start_record.h"
#include "replication/supervisor/state_directory.h"

namespace auxin::cli {
namespace {

using replication::Style;
using replication::Wish;

constexpr int kLookMs = 5;

struct Options {
  std::string name;
  std::optional<std::string> state_root;
  std::string style;
  uint64_t checkpoint = 0;
  double timeout_s = 60;
  bool portable = false;
  std::string file;                  // of the portable image; "": the group's
  std::vector<std::string> objects;  // none: the group's
};

// Has the group's supervisor do it, and waits.
int ask(const Options& options, Wish wish, uint64_t value) {
  const std::string directory =
      supervisor::find_group(options.state_root.value_or(""), options.name);
  if (directory.empty())
    return refuse(fmt::format("there is no group {}; `auxin status` lists those there are",
                              options.name));
  auto memory = supervisor::GroupMemory::open(directory + "/" + supervisor::kMemoryFile, false);
  if (!memory) return refuse(memory.error());
  replication::GroupControl& control = memory->control();
  if (!control.supervisor.seems_held())
    return refuse(fmt::format("group {} has no supervisor now; `auxin run` with its name gives it "
                              "one", options.name));
  if (control.wishes.load() != control.wishes_answered.load())
    return refuse(fmt::format("group {} is being changed by another command; try again when it is "
                              "done", options.name));
  control.wish.store(wish);
  control.wish_value.store(value);
  const uint64_t mine = control.wishes.fetch_add(1) + 1;
  for (int waited_ms = 0; control.wishes_answered.load() < mine; waited_ms += kLookMs) {
    if (!control.supervisor.seems_held())
      return refuse(fmt::format("group {} has ended, or lost its supervisor", options.name));
    if (waited_ms > options.timeout_s * 1000)
      return refuse(fmt::format("group {} has not done it after {} s; it may still do",
                                options.name, options.timeout_s));
    poll(nullptr, 0, kLookMs);
  }
  const std::string answer = supervisor::load_text(control.wish_answer);
  if (answer.empty() || answer[0] != '+') return refuse(answer.empty() ? answer : answer.substr(1));
  return print(fmt::format("{}: {}\n", options.name, answer.substr(1)));
}

// The objects are called from here: no process ends, and clients stay connected.
int give_portable(const Options& options) {
  const std::string directory =
      supervisor::find_group(options.state_root.value_or(""), options.name);
  if (directory.empty())
    return refuse(fmt::format("there is no group {}; `auxin status` lists those there are",
                              options.name));
  auto record = supervisor::StartRecord::load(directory);
  if (!record) return refuse(record.error());
  const std::string file =
      options.file.empty() ? supervisor::portable_file_of(*record, directory) : options.file;
  auto image = checkpoint::read_portable_image(file);
  if (!image) {
    refuse(image.error());
    return kFailed;
  }
  auto given = checkpoint::deliver_portable_image(
      *image, options.objects.empty() ? record->objects : options.objects,
      static_cast<int64_t>(options.timeout_s * 1000), supervisor::portable_notes_of(directory));
  if (!given) return refuse(given.error());
  const size_t count = image->objects.size();
  return print(fmt::format("{}: {} object{} the state of {}\n", options.name, count,
                           count == 1 ? " has" : "s have", file));
}

int switch_style(const Options& options) {
  Style style;
  if (!supervisor::parse_style(options.style, &style) || style == Style::kNone)
    return refuse(fmt::format("no group can change to style '{}'; --style takes semi-active, "
                              "warm-passive or cold-passive", options.style));
  return ask(options, Wish::kStyle, static_cast<uint64_t>(style));
}

CLI::App* add_command(CLI::App& app, const char* name, const char* about,
                      const std::shared_ptr<Options>& options) {
  CLI::App* command = app.add_subcommand(name, about);
  command->add_option("NAME", options->name, "The group")->required();
  command
      ->add_option("--state-dir", options->state_root,
                   "Where the groups keep their state (default: where they are found)")
      ->type_name("DIR");
  command
      ->add_option("--timeout", options->timeout_s, "How long to wait for it (default: 60)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 86400.0));
  return command;
}

}  // namespace

void add_switch_commands(CLI::App& app, Action* action) {
  auto switched = std::make_shared<Options>();
  CLI::App* command = add_command(app, "switch", "Change the style of a running group", switched);
  command
      ->add_option("--style", switched->style, "semi-active, warm-passive or cold-passive")
      ->type_name("STYLE")
      ->required();
  command->callback([=] { *action = [=] { return switch_style(*switched); }; });

  auto restored = std::make_shared<Options>();
  command = add_command(app, "restore", "Begin a running group again from a checkpoint", restored);
  auto* at = command
                 ->add_option("--at", restored->checkpoint,
                              "Go back to this one, and give up what came after it")
                 ->type_name("CHECKPOINT")
                 ->check(CLI::PositiveNumber);
  auto* portable = command
                       ->add_flag("--portable", restored->portable,
                                  "Give the objects the states of a portable image, by their own "
                                  "methods")
                       ->excludes(at);
  command->add_option("--file", restored->file, "The portable image (default: the group's own)")
      ->type_name("FILE")
      ->needs(portable);
  command
      ->add_option("--object", restored->objects,
                   "An object, in the image's order (default: the configuration's)")
      ->type_name("REFERENCE")
      ->needs(portable);
  command->callback([=] {
    *action = [=] {
      return restored->portable ? give_portable(*restored)
                                : ask(*restored, Wish::kRestore, restored->checkpoint);
    };
  });
}

}  // namespace auxin::cli
