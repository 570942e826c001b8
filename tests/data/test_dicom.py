"""DICOM: volumes as SimpleITK reads them, radiographs as a reader sees them, and files that must be refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing
from pydicom.sequence import Sequence

from dicom_files import PIXEL_MM, PLANES, SLICE_MM, dicom, enhanced, series, stored
from medrepro.data import DataError
from medrepro.data.dicom import apply_window, read_radiograph, read_series
from medrepro.data.readers import ImageFiles

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "volumes_simpleitk.json").read_text())


@pytest.mark.parametrize("plane", PLANES)
def test_a_series_is_the_volume_that_simpleitk_reads(plane, tmp_path):
    series(tmp_path, plane)
    volume, expected = read_series(tmp_path), REFERENCE[f"dicom, {plane}"]
    assert list(volume.voxels.shape) == expected["shape"]
    assert np.array_equal(volume.voxels.ravel(), expected["values"])
    assert volume.voxels.dtype == np.float32
    assert volume.spacing_mm == pytest.approx(expected["spacing_mm"], abs=1e-4)
    assert volume.affine[:3, 3] == pytest.approx(expected["corner_ras_mm"], abs=1e-3)


@pytest.mark.parametrize("plane", PLANES)
def test_a_file_of_many_frames_is_the_same_volume_as_the_series(plane, tmp_path):
    series(tmp_path / "series", plane)
    one, two = read_series(tmp_path / "series"), read_series(enhanced(tmp_path / "one.dcm", plane))
    assert np.array_equal(one.voxels, two.voxels)
    assert one.spacing_mm == pytest.approx(two.spacing_mm)
    assert one.affine == pytest.approx(two.affine)


def test_the_distance_of_slices_comes_from_their_places_and_not_from_the_thickness(tmp_path):
    series(tmp_path)  # thickness 5 mm, distance 2.5 mm
    assert read_series(tmp_path).spacing_mm == pytest.approx((SLICE_MM, *PIXEL_MM))


def test_values_are_rescaled_slice_by_slice(tmp_path):
    for place, slope in enumerate((1.0, 3.0)):  # as in PET
        dicom(tmp_path / f"{place}.dcm", np.full((2, 2), 10, dtype=np.uint16), ImagePositionPatient=[0, 0, place],
              ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[1, 1], RescaleSlope=slope,
              RescaleIntercept=-1)  # fmt: skip
    assert read_series(tmp_path).voxels[:, 0, 0].tolist() == [9, 29]


def test_other_files_in_the_folder_are_passed_over(tmp_path):
    series(tmp_path)
    (tmp_path / "LICENSE").write_text("free")
    report = dicom(tmp_path / "report.dcm", stored(1)[0], Rows=None, Columns=None, PixelData=None)
    assert report.is_file()
    assert read_series(tmp_path).voxels.shape == (5, 6, 8)


def test_one_of_two_series_is_chosen_by_its_uid(tmp_path):
    series(tmp_path / "a")
    series(tmp_path / "b", slices=3, SeriesInstanceUID="1.2.4")
    with pytest.raises(DataError, match="holds 2 image series, expected one or its series_uid"):
        read_series(tmp_path)
    assert read_series(tmp_path, series_uid="1.2.4").voxels.shape == (3, 6, 8)
    with pytest.raises(DataError, match=r"holds no series 9, found 1\.2\.3, 1\.2\.4"):
        read_series(tmp_path, series_uid="9")


def test_a_missing_or_doubled_slice_is_an_error(tmp_path):
    files = series(tmp_path, slices=6)
    by_place = sorted(files, key=lambda path: read_series(path).affine[2, 3])
    with pytest.raises(DataError, match=r"slices are 2\.5 to 5 mm apart, expected even distances: one may be missing"):
        read_series([path for path in files if path != by_place[2]])
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(files[0].read_bytes())
    with pytest.raises(DataError, match="two of 7 slices are at the same place"):
        read_series(tmp_path)


def test_stacks_that_are_not_one_are_refused(tmp_path):
    files = series(tmp_path / "a")
    other = dicom(tmp_path / "wide.dcm", stored(1, 6, 9)[0], ImagePositionPatient=[0, 0, 0], PixelSpacing=[1, 1],
                  ImageOrientationPatient=[1, 0, 0, 0, 1, 0], SliceThickness=1)  # fmt: skip
    with pytest.raises(DataError, match=r"slices of \(6, 8\) and \(6, 9\) pixels, expected one size"):
        read_series([*files, other])
    with pytest.raises(DataError, match="slices differ in direction or pixel spacing"):
        read_series([*files, *series(tmp_path / "b", "sagittal", slices=1)])
    with pytest.raises(DataError, match="has no place in the patient"):
        read_series(dicom(tmp_path / "film.dcm", stored(1)[0]))
    with pytest.raises(DataError, match="holds 0 image series"):
        read_series([])


def test_a_tilted_gantry_is_refused(tmp_path):
    for number in range(4):
        dicom(tmp_path / f"{number}.dcm", stored(4)[number], ImagePositionPatient=[0, number * 0.5, number * 2.0],
              ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[1, 1])  # fmt: skip
    with pytest.raises(DataError, match=r"the stack is sheared \(tilted gantry\)"):
        read_series(tmp_path)


def window(function, values, centre, width):
    """The same window by pydicom, brought to 0 to 1."""
    data = Dataset()
    data.WindowCenter, data.WindowWidth, data.VOILUTFunction = str(centre), str(width), function
    data.PhotometricInterpretation, data.BitsStored, data.PixelRepresentation = "MONOCHROME2", 12, 0
    with np.errstate(over="ignore"):  # of the sigmoid far below its centre
        return apply_windowing(values, data) / (2**12 - 1)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("centre", "width"), [(40, 400), (0.5, 2), (2048, 4096), (-600.5, 1500)])
def test_windows_are_those_of_pydicom(function, centre, width):
    values = np.arange(-1200.0, 3000.0, 7)
    expected = window(function, values, centre, width)
    assert np.allclose(apply_window(values, centre, width, function=function), expected, atol=1e-9)


def test_a_window_of_width_one_is_a_threshold():
    assert apply_window(np.array([39.0, 39.5, 40.0]), 40, 1).tolist() == [0, 0, 1]
    with pytest.raises(DataError, match="function 'LINEAR' with width 0"):
        apply_window(np.zeros(2), 0, 0)
    with pytest.raises(DataError, match="function 'CUBIC' with width 2"):
        apply_window(np.zeros(2), 0, 2, function="CUBIC")


GREY = np.array([[0, 100], [200, 400]], dtype=np.uint16)


def test_without_a_window_the_darkest_is_black_and_the_brightest_white(tmp_path):
    pixels = read_radiograph(dicom(tmp_path / "a.dcm", GREY))
    assert pixels.dtype == np.float32
    assert pixels.tolist() == [[0, 0.25], [0.5, 1]]


def test_monochrome1_is_inverted_after_the_window(tmp_path):
    changes = {"PhotometricInterpretation": "MONOCHROME1"}
    assert read_radiograph(dicom(tmp_path / "a.dcm", GREY, **changes)).tolist() == [[1, 0.75], [0.5, 0]]
    plain = read_radiograph(dicom(tmp_path / "b.dcm", GREY, WindowCenter=150, WindowWidth=101))
    turned = read_radiograph(dicom(tmp_path / "c.dcm", GREY, WindowCenter=150, WindowWidth=101, **changes))
    assert turned == pytest.approx(1 - plain)


def test_the_first_window_of_the_file_acts_on_rescaled_values(tmp_path):
    path = dicom(tmp_path / "a.dcm", GREY, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=[200.5, 0],
                 WindowWidth=[401, 1])  # fmt: skip
    assert read_radiograph(path) == pytest.approx(np.array([[0, 0.25], [0.75, 1]]))
    assert read_radiograph(path, window=(100.5, 401)) == pytest.approx(np.array([[0, 0.5], [1, 1]]))


def test_a_table_of_the_file_goes_before_its_window(tmp_path):
    table = Dataset()
    table.LUTDescriptor = [5, 0, 8]
    table.LUTData = np.array([0, 255, 51, 51, 102], dtype=np.uint16).tobytes()
    values = np.array([[0, 1], [2, 4]], dtype=np.uint16)
    path = dicom(tmp_path / "a.dcm", values, VOILUTSequence=Sequence([table]), WindowCenter=2, WindowWidth=2)
    assert read_radiograph(path) == pytest.approx(np.array([[0, 1], [0.2, 0.4]]))


def test_padding_is_black_and_does_not_stretch_the_range(tmp_path):
    values = np.array([[60000, 100], [200, 300]], dtype=np.uint16)
    for colour, expected in (("MONOCHROME2", [[0, 0], [0.5, 1]]), ("MONOCHROME1", [[0, 1], [0.5, 0]])):
        path = dicom(tmp_path / f"{colour}.dcm", values, PixelPaddingValue=60000, PhotometricInterpretation=colour)
        assert read_radiograph(path).tolist() == expected


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
def test_depth_and_sign_of_the_pixels_are_kept(kind, tmp_path):
    values = np.array([[0, 25], [50, 100]], dtype=kind) - (50 if kind is np.int16 else 0)
    path = dicom(tmp_path / "a.dcm", values.astype(kind))
    assert read_radiograph(path) == pytest.approx(np.array([[0, 0.25], [0.5, 1]]))


def test_twelve_bits_in_sixteen_are_read_as_twelve(tmp_path):
    path = dicom(tmp_path / "a.dcm", GREY, BitsStored=12, HighBit=11)
    assert read_radiograph(path, window=(2048, 4096)).max() == pytest.approx(400 / 4095, abs=1e-6)


def test_a_film_of_one_grey_is_black(tmp_path):
    assert (read_radiograph(dicom(tmp_path / "a.dcm", np.full((2, 2), 7, dtype=np.uint16))) == 0).all()


def test_files_that_are_no_grey_image_are_named(tmp_path):
    (tmp_path / "a.dcm").write_text("no file")
    with pytest.raises(DataError, match=r"a\.dcm: is not a readable DICOM file"):
        read_radiograph(tmp_path / "a.dcm")
    with pytest.raises(DataError, match="PhotometricInterpretation is PALETTE COLOR, expected MONOCHROME1"):
        read_radiograph(dicom(tmp_path / "b.dcm", GREY, PhotometricInterpretation="PALETTE COLOR"))
    with pytest.raises(DataError, match=r"c\.dcm: pixels cannot be decoded \(Explicit VR Little Endian\)"):
        read_radiograph(dicom(tmp_path / "c.dcm", GREY, PixelData=b"\0\0"))


def test_dicom_films_are_read_among_image_files(tmp_path):
    path = dicom(tmp_path / "a.dicom", np.repeat(np.repeat(GREY, 8, axis=0), 4, axis=1))
    image = ImageFiles([path], size=16)[0]
    assert image.shape == (16, 16)
    assert image.dtype == np.float32
    assert (image[:, :4] == 0).all()  # padded to a square
    assert np.array_equal(image[:, 4:12], read_radiograph(path))
    smaller = ImageFiles([path], size=5)[0]
    assert smaller.min() >= 0
    assert smaller.max() <= 1
