// SPDX-License-Identifier: Apache-2.0
//
// Goal: the paper's reliable server and its client (§4.2), as two programs, end as if nothing had
// happened, however often either is killed.
// Method: both are started, killed and started again at random; the client checks what it reads.
#include <signal.h>

#include <random>

#include "stmemu/interface/test_memory_file.h"
#include "tests/harness/kill_one.h"

namespace auxin::stm {
namespace {

class Program {
 public:
  explicit Program(std::vector<std::string> words) : words_(std::move(words)) { start(); }
  ~Program() { kill(); }
  void start() {
    pid_ = fork();
    if (pid_ != 0) return;
    if (freopen("/dev/null", "w", stdout) == nullptr) _exit(98);
    std::vector<char*> arguments;
    for (std::string& word : words_) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execv(arguments[0], arguments.data());
    _exit(99);
  }
  void kill() {
    if (pid_ > 0) kill_one(pid_, SIGKILL);
    wait();
  }
  // Its status; -1 if there is none.
  int wait() {
    int status = -1;
    if (pid_ > 0) waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  bool ended(int* status) {
    if (pid_ <= 0 || waitpid(pid_, status, WNOHANG) != pid_) return false;
    pid_ = -1;
    return true;
  }

 private:
  std::vector<std::string> words_;
  pid_t pid_ = -1;
};

TEST(ReliableServer, AnswersEveryCallHoweverOftenItIsKilled) {
  const char* given = getenv("AUXIN_SEED");
  const uint64_t seed = given != nullptr ? strtoull(given, nullptr, 0) : std::random_device{}();
  SCOPED_TRACE("AUXIN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  MemoryFile file;
  Program server({AUXIN_RELIABLE_SERVER, file.path()});
  int status = 0;
  for (int i = 0; i < 1000; ++i) {  // until the server has made its port
    Program client({AUXIN_RELIABLE_CLIENT, file.path(), "1"});
    status = client.wait();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
    usleep(1000);
  }
  ASSERT_EQ(status, 0);
  Program client({AUXIN_RELIABLE_CLIENT, file.path(), "4000"});
  int kills = 0;
  while (!client.ended(&status)) {
    usleep(static_cast<useconds_t>(random() % 10'000));
    Program& victim = kills++ % 2 == 0 ? server : client;
    if (&victim == &client && client.ended(&status)) break;
    victim.kill();
    victim.start();
    ASSERT_LT(kills, 2000);
  }
  EXPECT_EQ(status, 0) << "the client read what it had not written";
  EXPECT_GT(kills, 10);
  Program last({AUXIN_RELIABLE_CLIENT, file.path(), "4001"});
  EXPECT_EQ(last.wait(), 0);
}

}  // namespace
}  // namespace auxin::stm
