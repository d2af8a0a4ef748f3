// Stands in for NVIDIA's management library: one card at 0000:1b:00.0, and a part of a card at 0000:2c:00.0,
// which has no utilization.
#include <cstring>

extern "C" {

struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};
struct Utilization {
  unsigned int gpu;
  unsigned int memory;
};

static int whole_card = 0;
static int part_of_card = 0;

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
const char* nvmlErrorString(int) { return "Not Found"; }

int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  if (std::strcmp(bus, "0000:1b:00.0") == 0) {
    *device = &whole_card;
    return 0;
  }
  if (std::strcmp(bus, "0000:2c:00.0") == 0) {
    *device = &part_of_card;
    return 0;
  }
  return 6;
}

int nvmlDeviceGetMemoryInfo(void*, Memory* memory) {
  *memory = {.total = 1000, .free = 400, .used = 600};
  return 0;
}

int nvmlDeviceGetUtilizationRates(void* device, Utilization* utilization) {
  if (device == &part_of_card) {
    return 3;
  }
  *utilization = {.gpu = 25, .memory = 90};
  return 0;
}

int nvmlSystemGetDriverVersion(char* text, unsigned int size) {
  std::strncpy(text, "580.65.06", size);
  return 0;
}
}
