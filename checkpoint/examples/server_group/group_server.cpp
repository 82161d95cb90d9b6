// SPDX-License-Identifier: Apache-2.0
//
// One member of a server group:
//
//     group_server DIRECTORY [BATCH]
//
// Start some (three) with the same directory. One of them serves, at DIRECTORY/primary.socket; the
// others have its state, increment by increment. When it dies, one of them goes on. A member that
// is started again joins. BATCH: how many requests one increment may hold (16).
//
// Status 1: it can't work here. 3: all members that had the state are dead, and it is lost.
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <utility>

#include "auxin/checkpoint.h"
#include "group_view.h"
#include "local_socket.h"
#include "primary.h"
#include "protocol.h"

namespace server_group {
namespace {

constexpr uint64_t kMaxImageBytes = 16 << 20;

void pause() {
  const timespec time{0, 2'000'000};
  nanosleep(&time, nullptr);
}

// Until the primary is gone. The image that was there stays until a whole new one has come: if the
// new primary dies before, this member can still be the next.
void follow(const Socket& primary, uint64_t member, auxin::checkpoint::ReceivedImage* image) {
  if (!primary.send(Hello{Caller::kBackup, member})) return;
  try {
    auxin::checkpoint::ReceivedImage received(kMaxImageBytes);
    received.apply(auxin::checkpoint::Message::receive(primary.descriptor(), kMaxImageBytes));
    *image = std::move(received);
    while (primary.send(image->sequence())) {
      image->apply(auxin::checkpoint::Message::receive(primary.descriptor(), kMaxImageBytes));
    }
  } catch (const auxin::checkpoint::Failure& failure) {
    // The end of the stream, most of all; a message that ends within itself was not applied.
    printf("the primary is gone: %s\n", failure.what());
  }
}

[[noreturn]] void run(const GroupDirectory& directory, uint32_t batch) {
  std::random_device random;
  const uint64_t member = uint64_t{random()} << 32 | random();
  FileLock alive, primary;
  if (!alive.try_take(directory.alive(member))) {
    perror(directory.alive(member).c_str());
    exit(1);
  }
  auxin::checkpoint::ReceivedImage image(kMaxImageBytes);
  for (;; pause()) {
    if (primary.try_take(directory.lock())) {
      const View view = directory.read_view();
      if (view.number == 0 || view.has(member)) {
        printf("serves\n");
        Primary(directory, member, batch,
                view.number == 0 ? auxin::checkpoint::ReceivedImage(kMaxImageBytes)
                                 : std::move(image))
            .serve();
      }
      primary.release();
      bool lives = false;
      for (const uint64_t each : view.members) lives = lives || directory.is_alive(each);
      if (!lives) {
        fprintf(stderr, "group_server: no member that had the state lives: it is lost\n");
        exit(3);
      }
    }
    const Socket serving = Socket::connected_to(directory.socket());
    if (serving.is_valid()) follow(serving, member, &image);
  }
}

}  // namespace
}  // namespace server_group

int main(int count, char** arguments) {
  const long batch = count > 2 ? strtol(arguments[2], nullptr, 10) : 16;
  if (count < 2 || batch < 1) {
    fprintf(stderr, "usage: group_server DIRECTORY [BATCH]\n");
    return 2;
  }
  setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    server_group::run(server_group::GroupDirectory(arguments[1]), static_cast<uint32_t>(batch));
  } catch (const auxin::checkpoint::Failure& failure) {
    fprintf(stderr, "group_server: %s\n", failure.what());
    return 1;
  }
}
