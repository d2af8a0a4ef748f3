// Lays the groups out once; a point's features are then filled in.
#include "search/models/features.h"

#include <cmath>

#include "base/check.h"

namespace regatta {
namespace {

// One-hot vectors are √2 apart.
const double kHot = std::sqrt(0.5);

}  // namespace

void FeatureLayout::add_number() { group.push_back(groups++); }

FeatureMap::FeatureMap(const Space& space) : space_(&space) {
  for (const Parameter& parameter : space.parameters()) {
    first_.push_back(layout_.coordinates());
    std::size_t width = parameter.when ? 1 : 0;
    if (const auto* choice = std::get_if<ChoiceDomain>(&parameter.domain)) {
      number_.push_back(-1);
      width += choice->choices.size();
    } else {
      number_.push_back(layout_.coordinates() + static_cast<Eigen::Index>(width));
      width += 1;
    }
    layout_.group.insert(layout_.group.end(), width, layout_.groups);
    ++layout_.groups;
  }
}

double FeatureMap::number_feature(std::size_t index, double unit) const {
  return space_->parameters()[index].when ? unit - 0.5 : unit;
}

Eigen::VectorXd FeatureMap::features(const Point& point) const {
  CHECK(point.size() == space_->size());
  const std::vector<double> unit = space_->to_unit(point);
  Eigen::VectorXd features = Eigen::VectorXd::Zero(layout_.coordinates());
  for (std::size_t i = 0; i < point.size(); ++i) {
    if (!point[i]) {
      continue;
    }
    Eigen::Index next = first_[i];
    if (space_->parameters()[i].when) {
      features[next++] = kInactive;
    }
    if (number_[i] >= 0) {
      features[next] = number_feature(i, unit[i]);
    } else {
      features[next + static_cast<Eigen::Index>(*point[i])] = kHot;
    }
  }
  return features;
}

}  // namespace regatta
