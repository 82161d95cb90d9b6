// SPDX-License-Identifier: Apache-2.0
//
// auxin status: how groups are. Reads their memories only; never waits for a replica.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "cli/command.h"
#include "cli/group_report.h"
#include "cli/report_json.h"
#include "cli/report_text.h"
#include "replication/supervisor/descriptor.h"
#include "replication/supervisor/state_directory.h"

namespace auxin::cli {
namespace {

constexpr int kRefreshMs = 1000;
constexpr size_t kPromotionsListed = 10;

struct Options {
  std::optional<std::string> name, state_root;
  bool json = false, watch = false;
};

// One look at the group or groups. A group that ends while it is looked at is not told.
Result<std::string> look(const Options& options, int indent) {
  const std::string root = options.state_root.value_or("");
  if (options.name) {
    const std::string directory = supervisor::find_group(root, *options.name);
    if (directory.empty()) {
      return Error{fmt::format("there is no group {}; `auxin status` lists those there are",
                               *options.name)};
    }
    auto report = read_group(directory);
    if (!report) return Error{report.error()};
    return options.json ? dump(to_json(*report), indent) : to_text(*report, kPromotionsListed);
  }
  Json list = Json::array();
  std::string text;
  for (const std::string& directory : supervisor::list_groups(root)) {
    auto report = read_group(directory);
    if (!report) {
      // A broken memory must not hide the others.
      if (!options.json) text += fmt::format("{}\n", report.error());
      continue;
    }
    list.push_back(to_json(*report));
    text += (text.empty() ? "" : "\n") + to_text(*report, kPromotionsListed);
  }
  if (options.json) return dump(list, indent);
  return text.empty() ? "no groups\n" : text;
}

// The terminal without line editing and echo, for as long as the object lives.
class KeyInput {
 public:
  KeyInput() {
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios keys = before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    active_ = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
  }
  ~KeyInput() {
    if (active_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  KeyInput(const KeyInput&) = delete;
  KeyInput& operator=(const KeyInput&) = delete;
  bool active() const { return active_; }

 private:
  termios before_;
  bool active_ = false;
};

int watch(const Options& options) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const supervisor::Descriptor signal_fd(signalfd(-1, &signals, SFD_CLOEXEC));
  const KeyInput keys;
  const bool screen = !options.json && isatty(STDOUT_FILENO);

  for (bool first = true;; first = false) {
    auto text = look(options, -1);
    if (!text && first) return refuse(text.error());
    const std::string shown = text ? *text : fmt::format("{}\n", text.error());
    if (!text && options.json) return kDone;  // the group has ended
    if (const int status = print((screen ? "\033[H\033[2J" : "") + shown); status != kDone) {
      return status;
    }
    if (!text) return kDone;
    pollfd entries[] = {{signal_fd.get(), POLLIN, 0},
                        {keys.active() ? STDIN_FILENO : -1, POLLIN, 0}};
    if (poll(entries, 2, kRefreshMs) > 0) {
      if (entries[0].revents != 0) return kDone;
      char key = 0;
      if (entries[1].revents != 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q')) {
        return kDone;
      }
    }
  }
}

int status(const Options& options) {
  if (options.watch) return watch(options);
  auto text = look(options, 2);
  if (!text) return refuse(text.error());
  return print(*text);
}

}  // namespace

void add_status_command(CLI::App& app, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("status", "Tell how a group, or each group, is");
  command->add_option("NAME", options->name, "The group (default: all)");
  command->add_flag("--json", options->json,
                    "As JSON: an object for a NAME, an array without");
  command->add_flag("--watch", options->watch,
                    "Again every second, until q or ^C; with --json one line each time");
  command
      ->add_option("--state-dir", options->state_root,
                   "Where the groups keep their state (default: where they are found)")
      ->type_name("DIR");
  command->callback([=] { *action = [=] { return status(*options); }; });
}

}  // namespace auxin::cli
