// Names of checkpoints come from outside.
#include "coordinator/checkpoint_files.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

class CheckpointFiles : public testing::Test {
 protected:
  CheckpointFiles() {
    fs::create_directories(study_ / "checkpoints");
    fs::create_directories(root_.path() / "elsewhere");
    fs::create_directory_symlink(root_.path() / "elsewhere", study_ / "checkpoints" / "link");
  }
  static void touch(const fs::path& path) { std::ofstream(path) << "content"; }

  const TemporaryDirectory root_ = TemporaryDirectory::make().value();
  const fs::path study_ = root_.path() / "study";
};

TEST_F(CheckpointFiles, FileInASubfolderIsDeleted) {
  const fs::path file = study_ / "checkpoints" / "0-1.safetensors";
  touch(file);
  delete_checkpoint(study_, "checkpoints/0-1.safetensors");
  EXPECT_FALSE(fs::exists(file));
  delete_checkpoint(study_, "checkpoints/0-1.safetensors");  // gone already: no error
}

TEST_F(CheckpointFiles, NothingOutsideTheStudyIsDeleted) {
  touch(root_.path() / "precious");
  touch(root_.path() / "elsewhere" / "precious");
  for (const std::string& name :
       {std::string("../precious"), std::string("checkpoints/../../precious"),
        (root_.path() / "precious").string(), std::string("checkpoints/link/precious")}) {
    EXPECT_FALSE(checkpoint_file(study_, name)) << name;
    delete_checkpoint(study_, name);
  }
  EXPECT_TRUE(fs::exists(root_.path() / "precious"));
  EXPECT_TRUE(fs::exists(root_.path() / "elsewhere" / "precious"));
}

TEST_F(CheckpointFiles, SweepLeavesWhatIsNeededAndWhatProgramsKeep) {
  for (const char* trial : {"checkpoints/trial-0/program", "checkpoints/trial-1"}) {
    fs::create_directories(study_ / trial);
  }
  for (const char* file : {"checkpoints/trial-0/kept", "checkpoints/trial-0/stray",
                           "checkpoints/trial-1/draft.7.tmp", "checkpoints/trial-0/program/state"}) {
    touch(study_ / file);
  }
  touch(root_.path() / "elsewhere" / "precious");
  sweep_checkpoints(study_, {"checkpoints/trial-0/kept"}, ProgramFolders::stay);
  EXPECT_TRUE(fs::exists(study_ / "checkpoints/trial-0/kept"));
  EXPECT_TRUE(fs::exists(study_ / "checkpoints/trial-0/program/state"));
  EXPECT_FALSE(fs::exists(study_ / "checkpoints/trial-0/stray"));
  EXPECT_FALSE(fs::exists(study_ / "checkpoints/trial-1"));
  EXPECT_TRUE(fs::exists(root_.path() / "elsewhere" / "precious"));
}

TEST_F(CheckpointFiles, ProgramsStatesGoWithTheLastCheckpointThatNamesOneOfThem) {
  fs::create_directories(study_ / "checkpoints/trial-0/program");
  for (const char* file : {"checkpoints/trial-0/epoch-1.program", "checkpoints/trial-0/epoch-2.program",
                           "checkpoints/trial-0/program/state"}) {
    touch(study_ / file);
  }
  delete_checkpoint(study_, "checkpoints/trial-0/epoch-1.program");
  EXPECT_TRUE(fs::exists(study_ / "checkpoints/trial-0/program/state"));
  delete_checkpoint(study_, "checkpoints/trial-0/epoch-2.program");
  EXPECT_FALSE(fs::exists(study_ / "checkpoints/trial-0/program"));
}

TEST_F(CheckpointFiles, SweepAtTheStudysEndKeepsOnlyTheStatesOfNeededPrograms) {
  for (const char* trial : {"trial-0", "trial-1", "trial-2"}) {
    fs::create_directories(study_ / "checkpoints" / trial / "program");
    touch(study_ / "checkpoints" / trial / "program" / "state");
  }
  touch(study_ / "checkpoints/trial-0/epoch-3.program");
  touch(study_ / "checkpoints/trial-1/epoch-1.program");
  fs::remove_all(study_ / "checkpoints/trial-2/program");
  fs::create_directory_symlink(root_.path() / "elsewhere", study_ / "checkpoints/trial-2/program");
  touch(root_.path() / "elsewhere" / "precious");
  sweep_checkpoints(study_, {"checkpoints/trial-0/epoch-3.program"}, ProgramFolders::go_where_not_needed);
  EXPECT_TRUE(fs::exists(study_ / "checkpoints/trial-0/program/state"));
  EXPECT_FALSE(fs::exists(study_ / "checkpoints/trial-1"));
  EXPECT_FALSE(fs::exists(study_ / "checkpoints/trial-2"));
  EXPECT_TRUE(fs::exists(root_.path() / "elsewhere" / "precious"));
}

TEST_F(CheckpointFiles, TheStudysOwnFilesAreNotDeleted) {
  touch(study_ / "study.db");
  for (const char* name : {"study.db", "./study.db", "checkpoints/../study.db"}) {
    EXPECT_FALSE(checkpoint_file(study_, name)) << name;
    delete_checkpoint(study_, name);
  }
  EXPECT_TRUE(fs::exists(study_ / "study.db"));
}

TEST_F(CheckpointFiles, NamesOfNothingNameNoFile) {
  for (const char* name : {"", ".", "..", "/", "checkpoints/", "checkpoints/.."}) {
    EXPECT_FALSE(checkpoint_file(study_, name)) << name;
  }
  EXPECT_FALSE(checkpoint_file(study_ / "absent", "checkpoints/0-1.safetensors"));
}

}  // namespace
}  // namespace regatta
