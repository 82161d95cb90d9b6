/* SPDX-License-Identifier: Apache-2.0
 *
 * A server with a function whose name is markup that would run a script. It takes a lock there for
 * each connection, on a thread of its own.
 *
 *   hostile_names PORT
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int served;

/* The assembler takes any name in quotes. */
void serve(int connection)
    __asm__("\"</script ><img src=x onerror=document.title='owned'>\"");

__attribute__((noinline, noclone)) void serve(int connection) {
  pthread_mutex_lock(&lock);
  ++served;
  pthread_mutex_unlock(&lock);
  close(connection);
}

static void* run(void* argument) {
  for (;;) {
    const int connection = accept(*(int*)argument, NULL, NULL);
    if (connection < 0) return NULL;
    serve(connection);
  }
}

int main(int count, char** words) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (count < 2) return 2;
  address.sin_port = htons((unsigned short)atoi(words[1]));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0) return 1;
  if (listen(listener, 8) != 0) return 1;
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, &listener) != 0) return 1;
  pthread_join(thread, NULL);
  return 0;
}
